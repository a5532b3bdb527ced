"""What is wrong in a configuration file, and where: `FILE:LINE: field.path: sentence`."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from firstline.schemas.errors import UserError

#: A path into a document: keys and list positions.
Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong at a place within a document."""

    at: Location
    text: str
    #: The last part of `at` is named in the text already: a field that is missing or unknown.
    named: bool = False

    @property
    def where(self) -> str:
        """The place as people read it."""
        return dotted(self.at[:-1] if self.named else self.at)


@dataclass(frozen=True, slots=True)
class Problem:
    """A flaw of a file, with its line (None: the file as a whole)."""

    file: Path
    line: int | None
    text: str

    def __str__(self) -> str:
        """Return the line that people and editors read."""
        text = " ".join(self.text.splitlines())
        return f"{self.file}:{self.line}: {text}" if self.line else f"{self.file}: {text}"


class ConfigError(UserError):
    """Configuration that a person can mend; one line per problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(at: Location) -> str:
    """Return a location as people write it: `checks[0].pattern`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def close(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, or None."""
    by_folded = {name.casefold(): name for name in known}
    matches = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known word is close."""
    match = close(word, known)
    return f"; did you mean '{match}'?" if match else ""


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """Return names as `a, b and c`; the tail of a long list is only counted."""
    parts = list(names)
    if len(parts) > most:
        parts = [*parts[: most - 1], f"{len(parts) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) if parts else "none"
