"""Failures grouped into causes: the same skill, check and kind of error, and reasons that say much the same."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from firstline.schemas.failure import Cause, Failure

#: Reasons this alike (0..100, rapidfuzz `token_sort_ratio`) are one cause.
ALIKE = 82.0
_EXAMPLES = 3
_REASON_CHARS = 200

#: What differs from item to item and says nothing of the cause, in the order in which it is replaced.
_PARTICULARS = (
    (re.compile(r"'[^']*'|\"[^\"]*\"|“[^”]*”"), "<text>"),
    (re.compile(r"`[^`]*\d[^`]*`"), "<place>"),
    (re.compile(r"[-+]?\d[\d.,:]*"), "<number>"),
    (re.compile(r"\s+"), " "),
)


@dataclass
class _Group:
    key: tuple[str, str, str | None]
    reason: str
    members: list[Failure] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def causes(failures: Iterable[Failure]) -> list[Cause]:
    """Return the causes, most frequent first."""
    groups: list[_Group] = []
    for failure in failures:
        reason = normalised(failure.reasons[0])
        group = _find(groups, _key(failure), reason)
        group.members.append(failure)
        group.reasons[reason] += 1
    return sorted((_cause(group) for group in groups), key=lambda cause: (-cause.count, cause.skill, cause.reason))


def normalised(reason: str) -> str:
    """Return a reason with quotations and numbers replaced, so that two items' reasons can be compared."""
    for pattern, stand_in in _PARTICULARS:
        reason = pattern.sub(stand_in, reason)
    return reason.strip()[:_REASON_CHARS]


def _key(failure: Failure) -> tuple[str, str, str | None]:
    check = failure.checks[0] if failure.checks else failure.error or failure.verdict
    return failure.skill, check, failure.error


def _find(groups: list[_Group], key: tuple[str, str, str | None], reason: str) -> _Group:
    """Return the group that the reason belongs to, a new one where none is alike."""
    from rapidfuzz import fuzz

    same = [group for group in groups if group.key == key]
    scored = [(fuzz.token_sort_ratio(group.reason, reason), group) for group in same]
    best = max(scored, key=lambda pair: pair[0], default=None)
    if best is not None and best[0] >= ALIKE:
        return best[1]
    groups.append(_Group(key, reason))
    return groups[-1]


def _cause(group: _Group) -> Cause:
    skill, check, error = group.key
    members: Sequence[Failure] = group.members
    return Cause(
        skill=skill,
        check=check,
        error=error,
        reason=group.reasons.most_common(1)[0][0],
        count=len(members),
        models=dict(Counter(member.model for member in members).most_common()),
        versions=tuple(sorted({member.skill_version for member in members if member.skill_version is not None})),
        mended=sum(member.settled_by is not None for member in members),
        examples=tuple(dict.fromkeys(f"{member.job}/{member.item_id}" for member in members))[:_EXAMPLES],
    )
