"""The failure log as people read it: each rejected answer with its reasons and what happened next."""

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Engine
from firstline.orchestrator.store import failures, jobs
from firstline.schemas.failure import Failure

#: Rejected answers that are looked at, newest first.
LOOKED_AT = 2000


def read_failures(
    engine: Engine,
    *,
    skill: str | None = None,
    job: str | None = None,
    digest: str | None = None,
    limit: int = LOOKED_AT,
) -> list[Failure]:
    """Return rejected answers, newest first, of a skill (one digest of it) or a job, or all."""
    with engine.db.reading() as tx:
        if job is not None:
            jobs.light(tx, job=job)
        rows = failures.rejected(tx, skill=skill, job=job, digest=digest, limit=limit)
        return [_failure(row, _then(tx, row)) for row in rows]


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
