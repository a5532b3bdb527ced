"""A shelf: the files of one kind, by name, built-in ones and the user's own, broken ones among them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from firstline.config.catalogue.yaml_file import SUFFIXES, Document, is_path, read_yaml
from firstline.config.errors.error_messages import ConfigError, Flaw, Problem, unknown
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

T = TypeVar("T", bound=Frozen)


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One file: its value, or why there is none."""

    name: str
    file: Path
    value: T | None
    problems: tuple[Problem, ...] = ()
    built_in: bool = False

    def usable(self) -> T:
        """Return its value; ConfigError when its file is broken."""
        if self.value is None:
            raise ConfigError(self.problems)
        return self.value


@dataclass(frozen=True, slots=True)
class Shelf(Generic[T]):
    """Entries of one kind; a broken file only matters to whoever asks for it."""

    #: What an entry is, such as `skill`.
    noun: str
    entries: dict[str, Entry[T]] = field(default_factory=dict)
    #: Clashes between the user's own files, by name.
    clashes: dict[str, Problem] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    #: Names that are the engine's own: found when asked for, and not offered.
    hidden: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[T]:
        """Yield what is in order and offered, by name."""
        return (value for name in sorted(self.names) if (value := self.entries[name].value) is not None)

    @property
    def names(self) -> frozenset[str]:
        """The names that are offered."""
        return frozenset(self.entries) - self.hidden

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def entry(self, name: str) -> Entry[T]:
        """Return the entry of that name; UserError when there is none, two, or its file is broken."""
        if name in self.clashes:
            raise ConfigError([self.clashes[name]])
        if name not in self.entries:
            raise UserError(unknown(self.noun, name, self.names))
        entry = self.entries[name]
        entry.usable()
        return entry

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything wrong with the files of this shelf."""
        broken = (problem for entry in self.entries.values() for problem in entry.problems)
        return (*self.clashes.values(), *broken)


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How files of one kind become entries: the model, and what is done and checked beyond its form."""

    noun: str
    model: type[T]
    #: Returns the finished value and its flaws; called with the value and the file's folder.
    finish: Callable[[T, Path], tuple[T, list[Flaw]]]

    def value(self, name_or_path: str | Path, shelf: Shelf[T], *, folder: Path) -> T:
        """Return what a name on the shelf or a path seen from `folder` stands for; UserError: nothing, or broken."""
        if is_path(name_or_path):
            return self.entry(folder / name_or_path).usable()
        return shelf.entry(str(name_or_path)).usable()

    def entry(self, file: Path, *, built_in: bool = False) -> Entry[T]:
        """Return a file as an entry; its name is the file's where it does not say another."""
        try:
            return self.from_document(read_yaml(file), built_in=built_in)
        except ConfigError as error:
            return Entry(file.stem, file, None, error.problems, built_in)

    def from_document(self, document: Document, *, built_in: bool = False) -> Entry[T]:
        """Return what has been read already as an entry."""
        file = document.file
        name = document.data.get("name")
        shown = name if isinstance(name, str) and name else file.stem
        try:
            value, flaws = self.finish(document.parse(self.model, name=file.stem), file.parent)
        except ConfigError as error:
            return Entry(shown, file, None, error.problems, built_in)
        return Entry(shown, file, None if flaws else value, document.problems(flaws), built_in)

    def shelf(self, folder: str, *, built_in: Path, own: Sequence[Path], tenants: Sequence[Path] = ()) -> Shelf[T]:
        """Return the files of `folder` in the built-in place, in each of the user's own, which win, and in a tenant's.

        What a tenant's folders declare is there instead of what all have under that name.
        """
        entries = {entry.name: entry for entry in self._entries(built_in / folder, built_in=True)}
        clashes: dict[str, Problem] = {}
        notes: list[str] = []
        for entry in (entry for home in own for entry in self._entries(home / folder, built_in=False)):
            known = entries.get(entry.name)
            if known is not None and known.built_in:
                notes.append(f"{self.noun} '{entry.name}' of {entry.file} is used instead of the built-in one")
            elif known is not None:
                clashes[entry.name] = _clash(self.noun, known, entry)
            entries[entry.name] = entry
        for entry in (entry for home in tenants for entry in self._entries(home / folder, built_in=False)):
            clashes.pop(entry.name, None)
            entries[entry.name] = entry
        return Shelf(self.noun, entries, clashes, tuple(notes))

    def _entries(self, folder: Path, *, built_in: bool) -> list[Entry[T]]:
        files = sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES and file.is_file())
        return [self.entry(file, built_in=built_in) for file in files]


def _clash(noun: str, known: Entry[T], entry: Entry[T]) -> Problem:
    return Problem(
        entry.file, None, f"two of your files declare the {noun} '{entry.name}', this one and {known.file}; rename one"
    )
