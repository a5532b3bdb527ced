"""Which accepted answers are audited: an even random share, drawn when they settle."""

import hashlib
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.subtask_names import base_of
from firstline.orchestrator.store import audits
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.schemas.batch import ItemTrail

#: Only what was asked for in earnest is audited, not what was asked to measure.
_PURPOSE = "run"


def draw_audits(tx: Connection, *, job: Job, trails: Mapping[int, ItemTrail], tier: str) -> None:
    """Note the drawn ones among the answers that a tier below the top has settled in these trails."""
    if job.options.purpose != _PURPOSE or tier not in job.ladder[:-1]:
        return
    audits.want(tx, rows=[row for trail in trails.values() for row in _drawn(job, trail, tier)])


def _drawn(job: Job, trail: ItemTrail, tier: str) -> Iterator[AuditRow]:
    for settled in trail.settled:
        if base_of(settled.step) is not None:
            continue
        planned = job.plan.step(settled.step)
        share = planned.policy.audit_share
        # A list's answers are drawn one by one, not the list.
        if settled.skipped or planned.step.skill is None or planned.step.for_each is not None:
            continue
        if not is_drawn(job.id, trail.item, settled.step, share):
            continue
        skill = job.plan.skills[planned.step.skill]
        yield AuditRow(
            job=job.id,
            tenant=job.tenant,
            item=trail.item,
            step=settled.step,
            skill=skill.name,
            skill_digest=skill.digest,
            tier=tier,
            model=_model(trail, settled.step),
            at=now(),
        )


def is_drawn(job: str, item: int, step: str, share: float) -> bool:
    """Say whether a subtask is among the share that is audited: by hash, so that repeated judging draws the same."""
    drawn = int.from_bytes(hashlib.sha256(f"{job}:{item}:{step}".encode()).digest()[:8])
    return drawn < share * 2**64


def _model(trail: ItemTrail, step: str) -> str:
    """Return the model whose answer was accepted."""
    answers = (one for one in reversed(trail.attempts) if one.step == step and one.purpose == "answer")
    return next((one.model for one in answers), "")
