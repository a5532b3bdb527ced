"""Whether two answers are the same, field by field: the one place where answers are compared with each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.comparator import JUDGE, Comparator
from firstline.workers.rules.json_paths import MISSING, Absent, dig
from firstline.workers.rules.scoring import compare, exact, number


@dataclass(frozen=True)
class Likeness:
    """What can be told of two answers without asking anybody."""

    #: None: the judge has to tell, or nobody compares any field.
    is_same: bool | None
    #: What the judge has to compare: field -> value, in either answer; empty where it is not asked.
    one: JsonObject
    other: JsonObject

    @property
    def needs_judge(self) -> bool:
        """Whether a judge has the last word."""
        return self.is_same is None and bool(self.one)

    @property
    def key(self) -> str:
        """What the two texts are known by, whichever comes first."""
        return "-".join(sorted((digest(self.one), digest(self.other))))


def likeness(
    comparators: Mapping[str, Comparator | None], one: Json, other: Json, *, folders: tuple[Path, ...] = ()
) -> Likeness:
    """Compare two answers by their fields' comparators.

    A field that differs settles it; texts that are equal word by word need no judge. UserError when a user's function
    breaks.
    """
    judged: list[tuple[str, Json, Json]] = []
    compared = 0
    for path, by in comparators.items():
        if by is None:
            continue
        compared += 1
        ours, theirs = (_part(answer, path) for answer in (one, other))
        if ours is MISSING or theirs is MISSING:
            if ours is not theirs:
                return Likeness(False, {}, {})
        elif by.by == JUDGE:
            judged += [(path, ours, theirs)] if exact(ours, theirs) < 1 else []
        elif _score(by, ours, theirs, folders) < by.at_least:
            return Likeness(False, {}, {})
    if not judged:
        return Likeness(True if compared else None, {}, {})
    names = {path: path or "answer" for path, _, _ in judged}
    return Likeness(None, {names[at]: ours for at, ours, _ in judged}, {names[at]: theirs for at, _, theirs in judged})


def _score(by: Comparator, ours: Json, theirs: Json, folders: tuple[Path, ...]) -> float:
    if by.by == "number" and by.tolerance:
        return number(ours, theirs, tolerance=by.tolerance)
    return compare(by.by, ours, theirs, folders=folders)


def _part(answer: Json, path: str) -> Json | Absent:
    return dig(answer, path) if path else answer
