"""Who may tell what came of a batch, where messages are signed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from firstline.config.queues.app import ORCHESTRATOR
from firstline.config.queues.signing import SENDERS
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.schemas.batch import Trail
from firstline.schemas.errors import UserError

#: Queues whose workers have signed a message; None: it may say anything.
Senders = frozenset[str] | None


def senders_of(engine: Context, headers: Mapping[str, Any]) -> Senders:
    """Return who has signed the message that came with these headers."""
    if engine.settings.signing_key is None:
        return None
    signed = frozenset(headers.get(SENDERS) or ())
    return None if ORCHESTRATOR in signed else signed


def refuse_other_tiers(job: Job, tier: str, senders: Senders) -> None:
    """Raise a UserError where what is told of a tier's work comes from the workers of another one."""
    if senders is not None and job.tier(tier).queue not in senders:
        raise UserError(
            f"the workers of '{', '.join(sorted(senders))}' told of work of tier '{tier}', which is not theirs"
        )


def refuse_forged(job: Job, row: RowMapping | None, trail: Trail, senders: Senders) -> None:
    """Raise a UserError for a trail that tells of more than the batch its senders were sent; `row` is that batch."""
    if row is None or row["job"] != job.id:
        raise UserError(f"job {job.id} has no batch {trail.batch}")
    refuse_other_tiers(job, row["tier"], senders)
    if trail.tier != row["tier"] or not {one.item for one in trail.items} <= set(row["items"]):
        raise UserError(f"a trail of batch {trail.batch} tells of another tier, or of items that are not in it")
