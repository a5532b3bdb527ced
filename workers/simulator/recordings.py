"""Finds the recorded answer to a prompt: by hash of the messages, or by a piece of what the user said."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from firstline.schemas.errors import UserError
from firstline.workers.providers.recording import Recording

_WORD = re.compile(r"\w+")


class Pieces:
    """Recordings by `contains`, each filed under the rarest whole word of its piece."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        pieces: dict[str, list[Recording]] = defaultdict(list)
        for recording in recordings:
            pieces[recording.contains or ""].append(recording)
        frequency = Counter(word for piece in pieces for word in set(_inner_words(piece)))
        self._by_word: dict[str | None, list[tuple[str, list[Recording]]]] = defaultdict(list)
        for piece, found in pieces.items():
            anchor = min(_inner_words(piece), key=lambda word: (frequency[word], -len(word)), default=None)
            self._by_word[anchor].append((piece, found))

    def find(self, text: str) -> list[Recording]:
        """Return the recordings of the longest piece that the text contains."""
        words = set(_WORD.findall(text)) & self._by_word.keys()
        candidates = [filed for word in (None, *words) for filed in self._by_word.get(word, ())]
        matches = [(piece, found) for piece, found in candidates if piece in text]
        return max(matches, key=lambda match: len(match[0]), default=("", []))[1]


def _inner_words(piece: str) -> list[str]:
    """Return the words of a piece without its first and last, which may be parts of longer words in the prompt."""
    return _WORD.findall(piece)[1:-1]


class Recordings:
    """All recorded answers; those to one and the same prompt are given in turn, the last one for ever."""

    def __init__(self, recordings: Iterable[Recording] = ()) -> None:
        self._by_key: dict[tuple[str | None, str], list[Recording]] = defaultdict(list)
        pieces: dict[str | None, list[Recording]] = defaultdict(list)
        for recording in recordings:
            if recording.key is not None:
                self._by_key[bare(recording.model), recording.key].append(recording)
            else:
                pieces[bare(recording.model)].append(recording)
        self._pieces = {model: Pieces(found) for model, found in pieces.items()}
        self._given: Counter[tuple[str, str]] = Counter()

    def find(self, model: str, key: str, *texts: str) -> Recording | None:
        """Return the answer of a model to the messages with that key, or else to the first text that has one.

        The texts are the user's, newest first: what a retry says of the last answer stands after the item.
        """
        found = next((found for text in texts or ("",) if (found := self._matching(model, key, text))), [])
        if not found:
            return None
        nth = self._given[model, key]
        self._given[model, key] += 1
        return found[min(nth, len(found) - 1)]

    def _matching(self, model: str, key: str, text: str) -> list[Recording]:
        names = (bare(model), None)
        for name in names:
            if found := self._by_key.get((name, key)):
                return found
        for name in names:
            if name in self._pieces and (found := self._pieces[name].find(text)):
                return found
        return []


def bare(model: str | None) -> str | None:
    """Return a model's name without its provider: a recording made at one provider is found under another."""
    return model.rpartition("/")[2] if model is not None else None


def load_recordings(paths: Iterable[str]) -> Recordings:
    """Read recordings; a `UserError` names file, line and field."""
    return Recordings(recording for path in paths for recording in _read(Path(path)))


def _read(path: Path) -> Iterator[Recording]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `recordings:` and `truth:` are looked up beside the script") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _parse(line, f"{path}:{number}")


def _parse(line: str, place: str) -> Recording:
    try:
        return Recording.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        raise UserError(f"{place}: {where}: {first['msg']}, got {first['input']!r:.80}") from None
