"""The failure log as people read it: each rejected answer with its reasons and what happened next."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.errors.error_messages import unknown
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store import failures, jobs
from firstline.schemas.errors import UserError
from firstline.schemas.failure import Cause, Failure

#: Rejected answers that are looked at, newest first.
LOOKED_AT = 2000


def read_failures(
    engine: Context,
    *,
    skill: str | None = None,
    job: str | None = None,
    digest: str | None = None,
    tenant: str | None = None,
    limit: int = LOOKED_AT,
) -> list[Failure]:
    """Return rejected answers, newest first, of a skill (one digest of it) or a job, or all."""
    with engine.db.reading() as tx:
        if job is not None:
            jobs.light(tx, job=job)
        rows = failures.rejected(tx, skill=skill, job=job, digest=digest, tenant=tenant, limit=limit)
        return [_failure(row, _then(tx, row)) for row in rows]


def refuse_unknown_skill(engine: Context, skill: str) -> None:
    """Raise a UserError for a skill that neither the catalogue knows nor any job ever asked."""
    known = set(load_catalogue().skills.entries)
    with engine.db.reading() as tx:
        if skill not in known and not failures.was_asked(tx, skill=skill):
            raise UserError(unknown("skill", skill, known))


def _failure(row: RowMapping, then: str) -> Failure:
    failed = [check for check in row["checks"] if check["reason"]]
    settled = row["subtask_state"] == "settled"
    return Failure(
        job=row["job"],
        item_id=row["item_id"],
        step=row["step"],
        n=row["n"],
        skill=row["skill"],
        skill_version=row["skill_version"],
        skill_digest=row["skill_digest"],
        tier=row["tier"],
        model=row["model"],
        at=row["started_at"],
        error=row["error"],
        checks=tuple(check["check"] for check in failed),
        reasons=tuple(check["reason"] for check in failed) or (row["detail"] or row["reason"] or "no reason given",),
        verdict=row["verdict"],
        value=row["value"],
        text=row["text"],
        then=then,
        input=row["input"],
        settled=row["settled"] if settled else None,
        settled_by=row["subtask_tier"] if settled else None,
    )


def _then(tx: Connection, row: RowMapping) -> str:
    following = failures.next_answer(tx, job=row["job"], item=row["item"], step=row["step"], n=row["n"])
    if following is None:
        return _end(row["subtask_state"], row["subtask_tier"])
    how = "tried again" if following["tier"] == row["tier"] else f"went to {following['tier']}"
    came = "accepted" if following["verdict"] == "accept" else following["error"] or following["verdict"]
    return f"{how}: {came}"


def _end(state: str | None, tier: str | None) -> str:
    match state:
        case "settled":
            return f"settled by {tier}"
        case "failed":
            return "given up"
        case "review":
            return "waits for a person"
        case _:
            return "goes on"


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
