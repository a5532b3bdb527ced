"""What a job is expected to cost, with its interval: each unknown is drawn, and the steps walk the ladder; pure.

A posterior predictive by simulation: shares are Beta-distributed by what was counted (Gelman et al., Bayesian Data
Analysis, chapter 2), lengths lognormal, and where a tier does not pay in a draw the job leaves it, as jobs do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean

from firstline.schemas.tier import Price

#: Draws, and the tails of the interval that they leave out.
DRAWS, TAIL = 600, 0.025
#: Subtasks that a job asks on a tier before it finds that the tier does not pay, and the share that goes on trying.
PROBED, EXPLORED = 25, 0.03
#: How far one call's tokens are from the mean of all, and what no model of a job knows, both as a factor's deviation.
_SINGLE, _UNTOLD = 0.6, 0.04
#: Most that counted tries weigh: the next items are others.
_WEIGHT = 150.0


@dataclass(frozen=True)
class Spread:
    """A positive figure: its mean, and by what factor it may be off (the deviation of its logarithm)."""

    value: float
    off: float = 0.0

    def draw(self, random: Random) -> float:
        """Return what it may be."""
        return self.value * math.exp(random.gauss(-(self.off**2) / 2, self.off)) if self.off else self.value

    def over(self, count: float) -> "Spread":
        """Return the figure of a job of so many calls, each of which is off by itself."""
        return Spread(self.value, math.hypot(self.off, _SINGLE / math.sqrt(max(1.0, count))))


@dataclass(frozen=True)
class Share:
    """A share by what was counted, or as many counts as a guess is worth."""

    hits: float
    misses: float

    @property
    def mean(self) -> float:
        """The share to be expected."""
        return self.hits / (self.hits + self.misses)

    def draw(self, random: Random) -> float:
        """Return what it may be."""
        return random.betavariate(self.hits, self.misses)

    def seen(self, hits: float, of: float) -> "Share":
        """Return the share after so many more tries."""
        less = min(1.0, _WEIGHT / of) if of else 0.0
        return Share(self.hits + less * hits, self.misses + less * (of - hits))


_ONE = Spread(1.0)
#: Where nothing was counted: answers that pass their checks (with or without others that decide), that are sure
#: enough, that a second try mends, and subtasks for which a `when` holds.
PASSED, SURE, MENDED, HELD = Share(1.0, 0.5), Share(0.8, 0.8), Share(0.7, 1.0), Share(0.7, 1.4)


@dataclass(frozen=True)
class Rung:
    """One tier as a step's subtasks pass it."""

    tier: str
    model: str
    price: Price | None
    #: Tokens billed to those by rule of thumb, and tokens of an answer.
    ratio: Spread = Spread(1.0, 0.2)
    answer: Spread = Spread(200.0, 0.8)
    #: First answers that are accepted, where a confidence decides without what it refuses; then the share it takes.
    accepted: Share = PASSED
    sure: Share | None = None
    attempts: int = 1
    #: Of what is not accepted at first, what is tried again; None: all that failed its checks.
    again: Share | None = None
    mended: Share = MENDED
    #: Dollars of a try with tools and signals to those of the answer alone.
    beside: Spread = Spread(1.0)
    #: Nothing starts here, by what was measured before.
    is_left: bool = False
    #: It was measured: a job knows from its first item on whether it pays.
    is_known: bool = False


@dataclass(frozen=True)
class StepLoad:
    """One step: how often it is asked, what a prompt holds, and its way up the ladder."""

    step: str
    count: float
    #: Tokens of a prompt by rule of thumb, without earlier answers.
    prompt: Spread
    rungs: tuple[Rung, ...]
    #: Earlier step -> tokens of its answers in the prompt, at the length that is expected of them.
    carried: Mapping[str, float] = field(default_factory=dict)
    #: Elements of a list that it is asked about, each by itself.
    elements: Spread = _ONE
    #: Share of the items for which it is asked; None: all.
    held: Share | None = None
    #: The job may start and climb as it finds to pay.
    moves: bool = False
    #: Share of the answers below the top that the top tier gives again.
    audited: float = 0.0
    #: It only steers: the top tier alone does without it.
    steers: bool = False
    #: The step that it may have asked again, and how often at most.
    reviews: str | None = None
    rounds: int = 0


@dataclass(frozen=True)
class Figures:
    """What one step comes to, in the mean of all draws."""

    calls: float
    input_tokens: float
    output_tokens: float
    #: Share of its subtasks that leaves the tier they begin on.
    climbing: float
    usd: float
    top_usd: float


@dataclass(frozen=True)
class Expected:
    """What all steps come to."""

    usd: float
    low_usd: float
    high_usd: float
    #: One answer of the top tier for each subtask, in the mean.
    top_usd: float
    steps: Mapping[str, Figures]


def expected(loads: Sequence[StepLoad], *, draws: int = DRAWS) -> Expected | None:
    """Return what steps cost; None where a tier that they may reach has no price. The same figures at every call."""
    if any(not _is_priced(rung.price) for load in loads for rung in load.rungs):
        return None
    random = Random(0)
    drawn = [_Draw(loads, random).figures() for _ in range(draws)]
    slack = (math.exp(random.gauss(0, _UNTOLD)) for _ in drawn)
    totals = sorted(factor * sum(one.usd for one in each.values()) for factor, each in zip(slack, drawn, strict=True))
    at = int(TAIL * draws)
    steps = {load.step: _mean([each[load.step] for each in drawn]) for load in loads}
    return Expected(
        usd=sum(one.usd for one in steps.values()),
        low_usd=totals[at],
        high_usd=totals[-1 - at],
        top_usd=sum(one.top_usd for one in steps.values()),
        steps=steps,
    )


def mean_of(sample: Sequence[float]) -> Spread:
    """Return a sample's mean, and how far that of all items may be from it."""
    mean = fmean(sample) if sample else 0.0
    if len(sample) < 2 or not mean:
        return Spread(mean, 0.4)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in sample) / (len(sample) - 1))
    return Spread(mean, min(0.5, deviation / mean / math.sqrt(len(sample))))


def _is_priced(price: Price | None) -> bool:
    return price is not None and price.input is not None and price.output is not None


def _mean(figures: Sequence[Figures]) -> Figures:
    return Figures(*map(fmean, zip(*(vars(one).values() for one in figures), strict=True)))


@dataclass
class _Tries:
    """What one subtask comes to on a tier, in one draw."""

    usd: float
    calls: float
    settled: float


class _Draw:
    """One world in which every unknown has a value."""

    def __init__(self, loads: Sequence[StepLoad], random: Random) -> None:
        self._loads = loads
        self._random = random
        self._ratios: dict[str, float] = {}
        self._lengths: dict[str, float] = {}
        self._found: dict[str, Figures] = {}

    def figures(self) -> Mapping[str, Figures]:
        """Return what each step comes to."""
        for load in self._loads:
            self._found[load.step] = self._step(load)
            if load.reviews in self._found and load.rounds:
                self._ask_again(load)
        return self._found

    def _step(self, load: StepLoad) -> Figures:
        count = _counted(self._random, load.count, load.held.draw(self._random)) if load.held else load.count
        count *= load.elements.draw(self._random)
        carried = sum(tokens * self._lengths.get(step, 1.0) for step, tokens in load.carried.items())
        tokens = load.prompt.draw(self._random) + carried
        # How long answers are is mostly the task's doing, and alike on all tiers.
        length = Spread(1.0, load.rungs[0].answer.off).draw(self._random)
        self._lengths[load.step] = length
        answer = length * load.rungs[0].answer.value
        tries = [self._tries(rung, tokens, length, count) for rung in load.rungs]
        usd, calls, climbed = self._walk(load, tries, count)
        top, top_call = load.rungs[-1], self._call_usd(load.rungs[-1], tokens, length, count)
        audits = load.audited * (1 - climbed) * count * top_call if len(load.rungs) > 1 else 0.0
        billed = tokens * self._ratio(load.rungs[0])
        alone = 0.0 if load.steers else count * top_call * top.beside.value
        return Figures(calls * count, billed, answer, climbed, usd * count + audits, alone)

    def _walk(self, load: StepLoad, tries: Sequence[_Tries], count: float) -> tuple[float, float, float]:
        """Return dollars and calls of a subtask, and the share that is answered above the tier it is said to begin."""
        usd, calls, beyond = tries[-1].usd, tries[-1].calls, 1.0
        for rung, here in zip(reversed(load.rungs[:-1]), reversed(tries[:-1]), strict=True):
            through = here.usd + (1 - here.settled) * usd
            entering = self._entering(load, rung, count) if through > usd or rung.is_left else 1.0
            usd = entering * through + (1 - entering) * usd
            calls = entering * (here.calls + (1 - here.settled) * calls) + (1 - entering) * calls
            beyond = 1 - entering * here.settled
        return usd, calls, beyond if len(tries) > 1 else 0.0

    def _entering(self, load: StepLoad, rung: Rung, count: float) -> float:
        """Return the share of the subtasks that try a tier which does not pay."""
        if not load.moves:
            return 1.0
        return EXPLORED if rung.is_known else min(1.0, max(EXPLORED, PROBED / max(1.0, count)))

    def _tries(self, rung: Rung, tokens: float, length: float, count: float) -> _Tries:
        """Return what a subtask takes on a tier: its first answer, and those that follow faults."""
        passed = rung.accepted.draw(self._random)
        first = passed * (rung.sure.draw(self._random) if rung.sure else 1.0)
        failed = 1 - first
        again = rung.again.draw(self._random) * failed if rung.again else 1 - passed
        mended = rung.mended.draw(self._random)
        calls, settled = 1.0, first
        for _ in range(rung.attempts - 1):
            calls += again
            settled += again * mended
            again *= 1 - mended
        call = self._call_usd(rung, tokens, length, count) * rung.beside.draw(self._random)
        return _Tries(call * calls, calls, _counted(self._random, count, settled) / count if count else settled)

    def _call_usd(self, rung: Rung, tokens: float, length: float, count: float) -> float:
        assert rung.price is not None
        single = Spread(1.0).over(count).draw(self._random)
        return single * (
            tokens * self._ratio(rung) * (rung.price.input or 0.0)
            + length * rung.answer.value * (rung.price.output or 0.0)
        ) / 1e6  # fmt: skip

    def _ratio(self, rung: Rung) -> float:
        """Return how a model counts tokens, which is the same in all of a job's steps."""
        if rung.model not in self._ratios:
            self._ratios[rung.model] = rung.ratio.draw(self._random) / rung.ratio.value
        return self._ratios[rung.model] * rung.ratio.value

    def _ask_again(self, load: StepLoad) -> None:
        """Add what a review has asked again: nothing in most jobs, anything up to all in some."""
        before = self._found[load.reviews or ""]
        share = self._random.random() if self._random.random() < 0.4 else 0.0
        more = 1 + load.rounds * share
        self._found[load.reviews or ""] = Figures(
            **{**vars(before), "calls": before.calls * more, "usd": before.usd * more}
        )


def _counted(random: Random, count: float, share: float) -> float:
    """Return how many of so many there are at a share: the binomial law by the normal one."""
    drawn = random.gauss(count * share, math.sqrt(max(0.0, count * share * (1 - share))))
    return min(count, max(0.0, drawn))
