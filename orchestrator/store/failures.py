"""The failure log: every answer that was not accepted."""

from sqlalchemy import Connection, RowMapping, and_, select

from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, SubtaskRow

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]

#: Verdicts on what was no answer at all, or on one that was good.
_NOT_REJECTED = ("accept", "repeated", "asked", "fault", "")


def rejected(
    tx: Connection,
    *,
    skill: str | None = None,
    job: str | None = None,
    digest: str | None = None,
    tenant: str | None = None,
    limit: int,
) -> list[RowMapping]:
    """Return rejected answers, newest first, with their item's input and how their subtask stands."""
    same = (_subtask.c.job == _attempt.c.job, _subtask.c.item == _attempt.c.item, _subtask.c.step == _attempt.c.step)
    query = (
        select(
            _attempt,
            _item.c.item_id,
            _item.c.input,
            _subtask.c.state.label("subtask_state"),
            _subtask.c.tier.label("subtask_tier"),
            _subtask.c.value.label("settled"),
        )
        .join(_item, and_(_item.c.job == _attempt.c.job, _item.c.n == _attempt.c.item))
        .join(_subtask, and_(*same), isouter=True)
        .where(_attempt.c.purpose == "answer", _attempt.c.verdict.not_in(_NOT_REJECTED))
        .order_by(_attempt.c.started_at.desc(), _attempt.c.n.desc())
        .limit(limit)
    )
    for column, wanted in ((_attempt.c.skill, skill), (_attempt.c.job, job), (_attempt.c.skill_digest, digest)):
        query = query if wanted is None else query.where(column == wanted)
    if tenant is not None:
        query = query.join(_job, _job.c.id == _attempt.c.job).where(_job.c.tenant == tenant)
    return list(tx.execute(query).mappings())


def was_asked(tx: Connection, *, skill: str) -> bool:
    """Return whether any call was ever made for a skill."""
    return tx.execute(select(_attempt.c.job).where(_attempt.c.skill == skill).limit(1)).first() is not None


def next_answer(tx: Connection, *, job: str, item: int, step: str, n: int) -> RowMapping | None:
    """Return the next answer to the same subtask, if there was one."""
    query = (
        select(_attempt.c.tier, _attempt.c.model, _attempt.c.verdict, _attempt.c.error)
        .where(
            _attempt.c.job == job,
            _attempt.c.item == item,
            _attempt.c.step == step,
            _attempt.c.n > n,
            _attempt.c.purpose == "answer",
            _attempt.c.verdict != "repeated",
        )
        .order_by(_attempt.c.n)
        .limit(1)
    )
    return tx.execute(query).mappings().first()
