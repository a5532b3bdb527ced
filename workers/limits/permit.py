"""The right to make one call: what was reserved for it, and what it used."""

from dataclasses import dataclass, field

from firstline.schemas.batch import BudgetCap
from firstline.schemas.tier import Limits, Model
from firstline.workers.providers.gateway import Reply


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call, and what was reserved for it."""

    id: str
    model: Model
    caps: tuple[BudgetCap, ...] = ()
    tokens: int = 0
    #: None: nothing is known to reserve.
    cost_usd: float | None = None
    #: The provider counts the reserved tokens in full, whatever is used.
    firm: bool = False
    #: This call proves whether a model that was left alone is well again.
    probe: bool = False

    @property
    def is_reserved(self) -> bool:
        """Whether Redis knows of it."""
        return bool(self.caps) or _is_limited(self.model.limits)


@dataclass(frozen=True, slots=True)
class CallUsage:
    """What a call used; tokens are None where nobody said."""

    cost_usd: float
    tokens: int | None = None
    calls: int = 1
    #: The provider's rate-limit headers, and the seconds since it wrote them.
    headers: dict[str, str] = field(default_factory=dict)
    age_s: float = 0.0


#: A call that was never made.
NOTHING = CallUsage(cost_usd=0.0, tokens=0, calls=0)


def used(permit: Permit, reply: Reply | None) -> CallUsage:
    """Return what a call used; where nobody said what it cost, what was reserved for it counts as spent."""
    reserved_usd = permit.cost_usd or 0.0
    if reply is None:
        return CallUsage(reserved_usd)
    usage, cost_usd = reply.usage, reply.cost_usd
    cost_usd = reserved_usd if cost_usd is None else cost_usd
    known = usage.input_tokens is not None and usage.output_tokens is not None
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0) if known else None
    return CallUsage(cost_usd, tokens, reply.calls + len(reply.refusals), reply.limits, reply.latency_s)


def _is_limited(limits: Limits) -> bool:
    return not (limits.requests_per_minute is limits.tokens_per_minute is limits.in_flight is None)
