"""What a subtask costs on its way up a ladder: the one model that estimates, comparisons, plans and runs share; pure.

A tier costs its calls, retries and signals for every subtask that comes to it, and settles a share of them; the rest is
paid again above. So starting on a tier pays when the share that it settles is more than its price is of what the
subtask would cost above.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstline.schemas.plan import Route

#: Tries from which on a measured share is believed.
ENOUGH = 8
#: A tier is left when the chance that it pays is less than this, and used again from `BACK` on.
LEAVE, BACK = 0.1, 0.5
#: The same of a second try, which seldom mends: it is made as long as it rather pays than not. From `FEW` tries on it
#: is left where it as good as surely does not, as a tier is.
LEAVE_AGAIN, BACK_AGAIN = 0.4, 0.6
FEW = 4
#: Share of the subtasks that go on trying what does not pay.
EXPLORED = 0.03


@dataclass(frozen=True)
class Stage:
    """One tier as subtasks pass it."""

    tier: str
    #: Dollars of one subtask here: calls, retries, signals. None: unknown.
    usd: float | None
    #: Share that settles here.
    accepted: float = 1.0


def expected_usd(stages: Sequence[Stage]) -> float | None:
    """Return what a subtask costs that starts on the first of these tiers; None where a price is unknown.

    The last tier's share settles nothing more: there is none above it to pay.
    """
    total, share = 0.0, 1.0
    for stage in stages:
        if stage.usd is None:
            return None
        total += share * stage.usd
        share *= 1 - stage.accepted
    return total


def pays_from(usd: float, above_usd: float) -> float:
    """Return the share that a tier must settle to be worth its dollars, where a subtask costs `above_usd` above it."""
    return usd / above_usd if above_usd > 0 else float("inf") if usd > 0 else 0.0


@dataclass(frozen=True)
class Tries:
    """Measured tries of one kind: first ones on a tier, or second ones."""

    asked: int = 0
    accepted: int = 0
    usd: float = 0.0

    @property
    def share(self) -> float:
        """Share that was accepted; 0 where none was asked."""
        return self.accepted / self.asked if self.asked else 0.0

    @property
    def each_usd(self) -> float | None:
        """Dollars of one try; None where none was made."""
        return self.usd / self.asked if self.asked else None

    def __add__(self, other: "Tries") -> "Tries":
        return Tries(self.asked + other.asked, self.accepted + other.accepted, self.usd + other.usd)

    def chance_above(self, share: float) -> float:
        """Return the chance that the true share is above this one (Jeffreys' prior)."""
        if share >= 1:
            return 0.0
        if share <= 0:
            return 1.0
        # Only here: a producer never weighs anything.
        from scipy.special import betainc

        below: float = betainc(self.accepted + 0.5, self.asked - self.accepted + 0.5, share)
        return 1 - float(below)


@dataclass(frozen=True)
class Record:
    """What a tier came to with one skill, of late."""

    first: Tries = Tries()
    again: Tries = Tries()

    def __add__(self, other: "Record") -> "Record":
        return Record(self.first + other.first, self.again + other.again)


@dataclass(frozen=True)
class TierRecords:
    """A skill's records on one tier: of subtasks that began there, and of those that climbed to it."""

    started: Record = Record()
    climbed: Record = Record()


@dataclass(frozen=True)
class Finding:
    """Whether one thing pays, with its figures."""

    #: `start`, `pass` (what climbs) or `again` (a second try).
    kind: str
    tier: str
    pays: bool
    share: float
    asked: int
    pays_from: float
    usd: float
    above_usd: float

    @property
    def total_usd(self) -> float:
        """Dollars of a subtask that goes this way, with what climbs."""
        return self.usd + (1 - self.share) * self.above_usd

    @property
    def figures(self) -> str:
        """The figures in one sentence."""
        verb = {"start": "was accepted", "pass": "settled what climbed to it", "again": "mended it"}[self.kind]
        name = f"a second try on {self.tier}" if self.kind == "again" else self.tier
        return (
            f"{name} {verb} {self.share:.0%} of the time ({self.asked} tries); it pays from "
            f"{min(self.pays_from, 9.99):.0%} (${self.usd:.3g} a try, ${self.above_usd:.3g} above)"
        )


def weigh(
    ladder: Sequence[str],
    measured: Mapping[str, TierRecords],
    *,
    top_usd: float | None,
    route: Route,
    pinned: Sequence[str] = (),
) -> list[Finding]:
    """Return what pays and what does not, from the top down; nothing where too little is measured to tell.

    `top_usd`: what the top tier would cost where it has not been asked yet. `route`: what is in force, so that nothing
    flips at each new figure. `pinned`: tiers that a policy names.
    """
    found: list[Finding] = []
    top = measured.get(ladder[-1], TierRecords())
    climbing_usd = starting_usd = (top.climbed.first + top.started.first).each_usd or top_usd
    for tier in reversed(ladder[:-1]):
        if climbing_usd is None or starting_usd is None:
            break
        seen = measured.get(tier, TierRecords())
        again = _weigh_again(tier, seen.started.again + seen.climbed.again, climbing_usd, tier not in route.once)
        above = climbing_usd, starting_usd
        entered = _weigh_first("start", tier, seen.started, again, above, tier not in route.not_started)
        passed = _weigh_first("pass", tier, seen.climbed, again, (above[0], above[0]), tier not in route.skipped)
        found += [one for one in (again, entered, passed) if one is not None and tier not in pinned]
        starting_usd = entered.total_usd if entered is not None and entered.pays else starting_usd
        climbing_usd = passed.total_usd if passed is not None and passed.pays else climbing_usd
    return found


def _weigh_again(tier: str, tries: Tries, above_usd: float, in_force: bool) -> Finding | None:
    each = tries.each_usd
    if each is None or tries.asked < FEW:
        return None
    mark = pays_from(each, above_usd)
    chance = tries.chance_above(mark)
    if tries.asked < ENOUGH and (not in_force or chance >= LEAVE):
        return None
    pays = chance >= (LEAVE_AGAIN if in_force else BACK_AGAIN)
    return Finding("again", tier, pays, tries.share, tries.asked, mark, each, above_usd)


def _weigh_first(
    kind: str, tier: str, record: Record, again: Finding | None, above: tuple[float, float], in_force: bool
) -> Finding | None:
    """Weigh a first try, with what a second one adds to it where it is made.

    `above`: what a subtask costs that goes up from here, and one that goes past this tier at once; a tier above serves
    the first, which others found hard, less well.
    """
    first = record.first
    if first.each_usd is None or first.asked < ENOUGH:
        return None
    climbing_usd, past_usd = above
    more = (1 - first.share) * (again.usd - again.share * climbing_usd) if again is not None and again.pays else 0.0
    usd = max(0.0, first.each_usd + more)
    mark = max(0.0, pays_from(usd + climbing_usd - past_usd, climbing_usd))
    pays = first.chance_above(mark) >= (LEAVE if in_force else BACK)
    return Finding(kind, tier, pays, first.share, first.asked, mark, usd, climbing_usd)


def rerouted(route: Route, findings: Sequence[Finding]) -> Route:
    """Return the route that findings make of the one in force; what nothing was found of stays as it is."""
    return route.evolve(
        not_started=_turned(route.not_started, findings, "start"),
        skipped=_turned(route.skipped, findings, "pass"),
        once=_turned(route.once, findings, "again"),
    )


def _turned(off: Sequence[str], findings: Sequence[Finding], kind: str) -> tuple[str, ...]:
    found = {one.tier: one.pays for one in findings if one.kind == kind}
    return tuple(
        sorted({tier for tier in off if not found.get(tier)} | {tier for tier, pays in found.items() if not pays})
    )
