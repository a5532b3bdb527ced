"""The cool-downs that all workers share, as one worker process sees them."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

import redis.asyncio

from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import Blame, ErrorKind
from firstline.schemas.tier import Lane, Model, Tier
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.limits.cooldown_rules import FAULTS, LONGEST_SHUT_S, PROBE_S, Cooling, Health
from firstline.workers.limits.redis_scripts import Scripts
from firstline.workers.loop.background import Background
from firstline.workers.providers.endpoint import endpoint
from firstline.workers.providers.gateway import Reply

_log = logging.getLogger(__name__)

#: Seconds after which a call comes back that every model of its tier has failed on, or whose model another call proves.
_SOON_S = 1.0
#: Models that nobody asked for in this many seconds are not looked up any more.
_IN_USE_S = 600.0


@dataclass(frozen=True, slots=True)
class Struck:
    """Whom a fault struck."""

    tenant: str
    job: str
    item: str


class Cooldowns:
    """Knows which models are left alone, counts faults, and lets one call prove a model after its time."""

    def __init__(
        self,
        *,
        client: "redis.asyncio.Redis",
        keys: Keys,
        scripts: Scripts,
        background: Background,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._keys = keys
        self._scripts = scripts
        self._background = background
        self._clock = clock
        self._health: dict[str, Health] = {}

    def of(self, model: Model) -> Health:
        """Return what is known of a model."""
        return self._of(endpoint(model))

    def _of(self, name: str) -> Health:
        health = self._health.get(name)
        if health is None:
            health = self._health[name] = Health()
        health.used_at = self._clock()
        return health

    def wait_s(self, model: Model) -> float:
        """Return the seconds until a model may be called; 0: now."""
        return self.of(model).wait_s(self._clock())

    def is_shut(self, model: Model, lane: Lane) -> bool:
        """Say whether a slow lane of a model is left alone."""
        return self._of(_lane_name(model, lane)).wait_s(self._clock()) > 0

    def shut(self, tier: Tier, model: Model, lane: Lane, reply: Reply) -> None:
        """Have all workers leave a slow lane of a model alone that took no call; the model's other lanes stay open."""
        name, now = _lane_name(model, lane), self._clock()
        health = self._of(name)
        if now < health.until:
            # It was under way when the lane was first left alone.
            return
        length_s = max(tier.slow_lane.pause_s, min(reply.retry_after_s or 0.0, LONGEST_SHUT_S))
        cooling = Cooling(ErrorKind.LANE, length_s, max(LONGEST_SHUT_S, length_s), asked=False, probation=False)
        health.cool(cooling.kind, now + length_s, probation=False)
        health.untold += 1
        self._background.do(self._tell(name, health, cooling))

    def pick(self, tier: Tier, avoid: Collection[str], *, patience_s: float) -> Model | Defer:
        """Return the first model that may be called now, else the first that comes back within `patience_s`."""
        now = self._clock()
        soonest: tuple[float, Model] | None = None
        for model in tier.models:
            if model.name in avoid:
                continue
            health = self.of(model)
            wait_s = health.wait_s(now)
            if wait_s == 0:
                return model
            if not health.probation and wait_s <= patience_s and (soonest is None or wait_s < soonest[0]):
                soonest = wait_s, model
        return soonest[1] if soonest is not None else self.none_left(tier, avoid)

    def none_left(self, tier: Tier, avoid: Collection[str] = ()) -> Defer:
        """Return that no model of a tier can be called, why, and when the first comes back."""
        now = self._clock()
        waits, words = [], []
        for model in tier.models:
            health = self.of(model)
            wait_s = health.wait_s(now)
            # A probe ends much sooner than its time is up.
            waits.append(max(wait_s if health.until > now else min(wait_s, _SOON_S), _SOON_S))
            words.append(f"{model.name} {health.why(now) if wait_s > 0 else _other(model.name in avoid)}")
        reason = f"no model of tier '{tier.name}' can be called now: {'; '.join(words)}"
        return Defer(cause=DeferCause.NO_MODEL, wait_s=min(waits), reason=reason)

    def is_its_own(self, model: Model, who: Struck | None, kind: ErrorKind) -> bool:
        """Say whether a kind of fault is the own one of an item, or of its job's requests."""
        return self.of(model).is_its_own(_named(who, kind), kind)

    def was_late(self, model: Model, who: Struck, *, within_s: float) -> bool | None:
        """Note that a call timed out; return whether that was its item's doing, None: only a call of our own can tell.

        It was where the model has answered others within so many seconds, and is late for hardly any of them.
        """
        health, now, item = self.of(model), self._clock(), f"{who.job}:{who.item}"
        health.late.append(item)
        if health.wait_s(now) > 0 or not health.is_late_for_few(item):
            return False
        return True if now - health.answered_at <= within_s else None

    def succeed(self, model: Model) -> None:
        """Count a call that the model answered."""
        self.of(model).succeed(self._clock())

    def fault(self, tier: Tier, model: Model, reply: Reply, who: Struck | None) -> None:
        """Count a fault; leave the model alone, for all workers, when there were enough."""
        if reply.error not in FAULTS:
            return
        now, health = self._clock(), self.of(model)
        struck = _named(who, reply.error)
        cooling = health.fail(
            reply.error,
            now,
            cooldown_s=tier.cooldown_s,
            retry_after_s=reply.retry_after_s,
            who=struck,
            party=who.tenant if who is not None and reply.error.blame is Blame.REQUEST else struck,
        )
        if cooling is None:
            return
        until = max(health.until, now + cooling.length_s)
        health.cool(cooling.kind, until, probation=cooling.probation, lone=cooling.lone)
        health.untold += 1
        self._background.do(self._tell(endpoint(model), health, cooling))

    async def learn(self) -> None:
        """Read from Redis which of the models in use are left alone."""
        now = self._clock()
        names = [name for name, health in self._health.items() if now - health.used_at < _IN_USE_S]
        if not names:
            return
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for name in names:
            pipe.hmget(self._keys.cooldown(name), ["until", "kind", "probation"])
        (seconds, micros), *rows = await pipe.execute()
        ahead_s = now - (seconds + micros / 1e6) if self._scripts.clock is None else 0.0
        for name, (until, kind, probation) in zip(names, rows, strict=True):
            if not self._health[name].untold:
                _believe(self._health[name], until and float(until) + ahead_s, kind, probation == "1")

    async def claim_probe(self, model: Model, permit: str) -> bool:
        """Claim to be the one call, over all workers, that proves a model."""
        now, health = self._clock(), self.of(model)
        if health.wait_s(now) > 0:
            return False
        health.probe_until = now + PROBE_S
        claimed = await self._client.set(self._probe_key(model), permit, nx=True, px=int(PROBE_S * 1000))
        if not claimed:
            health.probe_until = now + _SOON_S
        return bool(claimed)

    def drop_probe(self, model: Model) -> None:
        """Let another call prove the model."""
        self.of(model).probe_until = 0.0
        self._background.do(self._forget(model, self._probe_key(model)))

    def end_probe(self, model: Model, reply: Reply | None) -> None:
        """Take a model back that has answered; where it has not, `fault` follows, or another call proves it."""
        if reply is None or not self.of(model).is_proven_by(reply.error):
            self.drop_probe(model)
            return
        self.of(model).heal()
        self._background.do(self._forget(model, self._probe_key(model), self._keys.cooldown(endpoint(model))))
        _log.info("model.recovered", extra={"model": model.name})

    async def _tell(self, name: str, health: Health, cooling: Cooling) -> None:
        """Tell all workers; who fails again after a cool-down is left alone for longer than this process knows."""
        try:
            wait_s = await self._scripts.cool(self._keys.cooldown(name), cooling)
            health.until = max(health.until, self._clock() + wait_s)
        finally:
            health.untold -= 1
        extra = {"model": name, "kind": cooling.kind.value, "seconds": round(wait_s, 1)}
        _log.log(logging.WARNING if cooling.probation else logging.INFO, "model.cooling", extra=extra)

    async def _forget(self, model: Model, *keys: str) -> None:
        health = self.of(model)
        health.untold += 1
        try:
            await self._client.delete(*keys)
        finally:
            health.untold -= 1

    def _probe_key(self, model: Model) -> str:
        return f"{self._keys.cooldown(endpoint(model))}:probe"


def _lane_name(model: Model, lane: Lane) -> str:
    """Return under which name a lane's standing is shared."""
    return f"{endpoint(model)} {lane.value}"


def _named(who: Struck | None, kind: ErrorKind) -> str | None:
    """Return whose fault a kind would be: all that a job asks has its parameters, the rest is the item's own."""
    if who is None:
        return None
    return who.job if kind.blame is Blame.REQUEST else f"{who.job}:{who.item}"


def _believe(health: Health, until: float | None, kind: str, probation: bool) -> None:
    """Take over what Redis says; times a few hundredths apart are the same time by two clocks."""
    if until is None:
        health.heal()
    elif abs(until - health.until) > 0.05:
        health.cool(ErrorKind(kind), until, probation=probation)


def _other(is_avoided: bool) -> str:
    return "has just failed on this call" if is_avoided else "is free again"
