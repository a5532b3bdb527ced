"""A comparison from what each model came to on the same items; pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstline.orchestrator.core.statistics import clopper_pearson
from firstline.orchestrator.experiments.signal_power import Power, power_of
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.quality.judge.error import corrected
from firstline.orchestrator.reports.report import percentiles
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparison import Candidate, ComparedItem, Comparison, Output, Share, StartTier
from firstline.workers.rules.json_paths import MISSING, Absent
from firstline.workers.rules.scoring import gold_of

#: An answer came back, and not in the form asked for.
MALFORMED = frozenset(
    {
        ErrorKind.MALFORMED.value,
        ErrorKind.OFF_SCHEMA.value,
        ErrorKind.TRUNCATED.value,
        ErrorKind.REFUSED.value,
        ErrorKind.EMPTY.value,
    }
)

#: Share of an interval's error that goes to how often a judge is wrong.
_DELTA_OF_JUDGE = 0.4


@dataclass(frozen=True)
class CallRecord:
    """One call of a run."""

    step: str
    latency_s: float
    cost_usd: float | None
    error: str | None
    #: False: the provider failed, nothing was answered.
    answered: bool = True


@dataclass(frozen=True)
class Run:
    """One model's run over the items."""

    model: str
    job: str
    #: Item id -> output; `MISSING` where the item failed.
    outputs: Mapping[str, Json | Absent]
    #: Item id -> why it failed.
    failures: Mapping[str, str] = field(default_factory=dict)
    #: Step -> item id -> answer; `MISSING` where none was accepted.
    answers: Mapping[str, Mapping[str, Json | Absent]] = field(default_factory=dict)
    calls: Sequence[CallRecord] = ()
    #: Step -> item id -> confidence of the answer that was accepted; nothing where no signal is free.
    confidences: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparedStep:
    """A step whose skill is to be started somewhere, and what is right for it."""

    step: str
    skill: str
    truth: Truth
    #: Share of all items that may be accepted wrong.
    max_loss: float = 0.05


def build(
    runs: Sequence[Run], items: Mapping[str, JsonObject], *, workflow: str, truth: Truth, steps: Sequence[ComparedStep]
) -> Comparison:
    """Return the comparison of runs over the same items (id -> fields); the dearest run is the reference."""
    reference = dearest(runs)
    judge = _Judge(truth, reference, items)
    return Comparison(
        workflow=workflow,
        items=len(items),
        gold=truth.quality.gold if truth.quality else None,
        reference=reference.model,
        candidates=tuple(_candidate(run, judge, len(items)) for run in runs),
        agreement={run.model: {other.model: judge.alike(run, other) for other in runs} for run in runs},
        start=tuple(_start(measured, runs, reference, items) for measured in steps),
        silent=tuple(truth.uncompared),
        judge_is_measured=truth.error.is_measured if truth.has_judge else None,
        rows=tuple(_row(item_id, fields, runs, judge) for item_id, fields in items.items()),
    )


def dearest(runs: Sequence[Run]) -> Run:
    """Return the run that cost most; the last one named where a price is unknown."""
    costs = [_cost(run.calls) for run in runs]
    if any(cost is None for cost in costs):
        return runs[-1]
    return max(zip(costs, runs, strict=True), key=lambda pair: pair[0] or 0.0)[1]


@dataclass(frozen=True)
class _Judge:
    """Says whether a model's output on an item is right."""

    truth: Truth
    reference: Run
    items: Mapping[str, JsonObject]

    def right(self, run: Run, item_id: str) -> bool | None:
        """Against gold where the item carries it, else against the reference."""
        return self._right(run.outputs.get(item_id, MISSING), item_id)

    def _right(self, value: Json | Absent, item_id: str) -> bool | None:
        if self.truth.quality is None:
            score = self.truth.agreement(value, self.reference.outputs.get(item_id, MISSING))
        else:
            score = self.truth.score(value, self.items[item_id])
        return None if score is None else score >= 1

    def agrees(self, run: Run, item_id: str) -> bool | None:
        """Whether an output is the same as the reference's."""
        said = self.truth.agreement(run.outputs.get(item_id, MISSING), self.reference.outputs.get(item_id, MISSING))
        return None if said is None else said >= 1

    def alike(self, run: Run, other: Run) -> float | None:
        """Return the share of items on which two runs have the same output; None where neither has any."""
        pairs = [(run.outputs[one], other.outputs.get(one, MISSING)) for one in run.outputs]
        scores = [
            0.0 if MISSING in (ours, theirs) else self.truth.agreement(ours, theirs)
            for ours, theirs in pairs
            if (ours, theirs) != (MISSING, MISSING)
        ]
        said = [score >= 1 for score in scores if score is not None]
        return sum(said) / len(said) if said else None


def _candidate(run: Run, judge: _Judge, count: int) -> Candidate:
    errors = Counter(call.error for call in run.calls if call.error)
    answered = [call for call in run.calls if call.answered]
    malformed = sum(call.error in MALFORMED for call in answered)
    gold = judge.truth.quality is not None
    return Candidate(
        model=run.model,
        job=run.job,
        settled=len(run.outputs) - len(run.failures),
        failed=len(run.failures),
        accuracy=share([judge.right(run, one) for one in run.outputs], judge.truth) if gold else None,
        agreement=None
        if run is judge.reference
        else share([judge.agrees(run, one) for one in run.outputs], judge.truth),
        usd_per_1000_items=_per_1000(_cost(run.calls), count),
        latency_s=percentiles(call.latency_s for call in run.calls),
        calls=len(run.calls),
        malformed_rate=malformed / len(answered) if answered else None,
        errors=dict(errors.most_common()),
    )


def share(right: Sequence[bool | None], truth: Truth) -> Share | None:
    """Return how many are right with the interval; what nobody can tell is left out. None where nothing is left.

    Where a judge told, its own error is in the interval: from 0 to 1 if nobody has measured that.
    """
    known = [one for one in right if one is not None]
    if not known:
        return None
    if truth.has_judge:
        found = clopper_pearson(sum(known), len(known), level=1 - 0.05 * (1 - _DELTA_OF_JUDGE))
        box = truth.error.box(0.05 * _DELTA_OF_JUDGE)
        low, high = corrected(1 - found.high, 1 - found.low, box, judge_alone=truth.judge_alone)
        return Share(right=found.successes, of=found.trials, low=1 - high, high=1 - low)
    found = clopper_pearson(sum(known), len(known))
    return Share(right=found.successes, of=found.trials, low=found.low, high=found.high)


def said_share(counted: Share) -> str:
    """Return a share in words: `37 of 40; 95% interval 80-98%`."""
    return f"{counted.right} of {counted.of}; 95% interval {100 * counted.low:.0f}-{100 * counted.high:.0f}%"


def _cost(calls: Sequence[CallRecord]) -> float | None:
    """Return what calls cost; None where one that answered has no known price."""
    if any(call.cost_usd is None and call.answered for call in calls):
        return None
    return sum(call.cost_usd or 0.0 for call in calls)


def _per_1000(cost_usd: float | None, count: int) -> float | None:
    return None if cost_usd is None or not count else 1000 * cost_usd / count


def _row(item_id: str, fields: JsonObject, runs: Sequence[Run], judge: _Judge) -> ComparedItem:
    gold = gold_of(judge.truth.quality, fields) if judge.truth.quality else None
    return ComparedItem(
        item_id=item_id,
        input=fields,
        gold=None if gold is MISSING else gold,
        outputs={run.model: _output(run, item_id, judge) for run in runs},
    )


def _output(run: Run, item_id: str, judge: _Judge) -> Output:
    value = run.outputs.get(item_id, MISSING)
    failed = value is MISSING
    return Output(
        value=None if failed else value,
        failure=run.failures.get(item_id, "no output") if failed else None,
        right=judge.right(run, item_id),
    )


# Where to start ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Option:
    """A model to start a step with."""

    model: str
    counted: Share
    usd_per_1000: float
    #: Starting here costs less than the reference alone if it is right this often.
    pays_from: float
    expected_usd: float
    #: What its signal is worth on these items; None: not measured.
    power: Power | None = None

    @property
    def pays(self) -> bool:
        """Whether what its signal lets be accepted is worth its price, where that was measured."""
        return self.power is None or self.power.accepted > self.pays_from


def _start(measured: ComparedStep, runs: Sequence[Run], reference: Run, items: Mapping[str, JsonObject]) -> StartTier:
    """Recommend the model that a step should start on.

    Whoever starts on a cheap model pays it for every item, and the reference again for the share that it gets wrong:
    that is less than the reference alone if it is right more often than its price is of the reference's. Recommended is
    the cheapest such way among the models that pass that mark with their interval's lower end.
    """
    top_usd = _step_usd(reference, measured.step, len(items))
    options = [
        option
        for run in runs
        if run is not reference and (option := _option(measured, run, reference, items, top_usd)) is not None
    ]
    sure = min((one for one in options if one.counted.low > one.pays_from and one.pays), key=_expected, default=None)
    blind = min((one for one in options if one.counted.low > one.pays_from), key=_expected, default=None)
    if sure is None and blind is not None:
        return _unseen(measured, blind, reference, top_usd)
    hopeful = min((one for one in options if one.counted.high > one.pays_from), key=_expected, default=None)
    chosen = sure or hopeful
    return StartTier(
        step=measured.step,
        skill=measured.skill,
        model=sure.model if sure else None if hopeful else reference.model,
        reference=reference.model,
        share=chosen.counted if chosen else None,
        against="gold" if measured.truth.quality else f"agreement with {reference.model}",
        pays_from=chosen.pays_from if chosen else None,
        expected_usd_per_1000_items=chosen.expected_usd if chosen else top_usd,
        reference_usd_per_1000_items=top_usd,
        said=_said(sure, hopeful, reference.model, top_usd, others=len(runs) - 1)
        if options or not top_usd or len(runs) == 1
        else _untold(measured, reference.model),
    )


def _option(
    measured: ComparedStep, run: Run, reference: Run, items: Mapping[str, JsonObject], top_usd: float | None
) -> _Option | None:
    counted = share(_rights(measured, run, reference, items), measured.truth)
    usd = _step_usd(run, measured.step, len(items))
    if counted is None or usd is None or not top_usd:
        return None
    power = _power(measured, run, reference, items)
    accepted = counted.right / counted.of if power is None else power.accepted
    return _Option(run.model, counted, usd, usd / top_usd, usd + (1 - accepted) * top_usd, power)


def _power(measured: ComparedStep, run: Run, reference: Run, items: Mapping[str, JsonObject]) -> Power | None:
    known = run.confidences.get(measured.step)
    if not known:
        return None
    asked = [one for one in items if one in run.answers.get(measured.step, {})]
    rights = _rights(measured, run, reference, items)
    pairs = [(known.get(one), right) for one, right in zip(asked, rights, strict=True) if right is not None]
    return power_of(pairs, items=len(pairs), max_loss=measured.max_loss)


def _unseen(measured: ComparedStep, option: _Option, reference: Run, top_usd: float | None) -> StartTier:
    """Return the advice where a model is right often enough and its signal does not tell when."""
    accepted = option.power.accepted if option.power else 0.0
    return StartTier(
        step=measured.step,
        skill=measured.skill,
        model=reference.model,
        reference=reference.model,
        share=option.counted,
        against="gold" if measured.truth.quality else f"agreement with {reference.model}",
        pays_from=option.pays_from,
        expected_usd_per_1000_items=top_usd,
        reference_usd_per_1000_items=top_usd,
        said=(
            f"start on {reference.model}: {option.model} is right on {said_share(option.counted)}, but its confidence "
            f"hardly tells when: at a loss of {measured.max_loss:.0%} only {accepted:.0%} of its answers could be "
            f"accepted, and it pays from {option.pays_from:.0%} on (${option.expected_usd:.4g} per 1,000 items against "
            f"${top_usd or 0:.4g}); give the skill another signal, or bear more"
        ),
    )


def _rights(measured: ComparedStep, run: Run, reference: Run, items: Mapping[str, JsonObject]) -> list[bool | None]:
    ours, theirs = (one.answers.get(measured.step, {}) for one in (run, reference))
    truth = measured.truth
    scores = [
        truth.score(ours.get(one, MISSING), fields)
        if truth.quality
        else truth.agreement(ours.get(one, MISSING), theirs.get(one, MISSING))
        for one, fields in items.items()
        if one in ours
    ]
    return [None if score is None else score >= 1 for score in scores]


def _step_usd(run: Run, step: str, count: int) -> float | None:
    return _per_1000(_cost([call for call in run.calls if call.step == step]), count)


def _expected(option: _Option) -> float:
    return option.expected_usd


def _said(sure: _Option | None, hopeful: _Option | None, reference: str, top_usd: float | None, *, others: int) -> str:
    if others and not top_usd:
        return f"what {reference} costs is unknown; give its model a `price:` in the profile to have a recommendation"
    if sure is not None and sure.power is not None:
        return (
            f"start on {sure.model}: right on {said_share(sure.counted)}; it pays from {sure.pays_from:.0%} on. By its "
            f"confidence {sure.power.accepted:.0%} of its answers could be accepted here with {sure.power.lost:.1%} "
            f"lost: about ${sure.expected_usd:.4g} per 1,000 items, retries in it, against ${top_usd:.4g} on "
            f"{reference} alone; `firstline calibrate` certifies how many"
        )
    if sure is not None:
        return (
            f"start on {sure.model}: right on {said_share(sure.counted)}; it pays from {sure.pays_from:.0%} on. At "
            f"best, if its confidence told right from wrong without fault, about ${sure.expected_usd:.4g} per 1,000 "
            f"items against ${top_usd:.4g} on {reference} alone, and at worst "
            f"${sure.usd_per_1000 + (top_usd or 0):.4g}: `firstline calibrate` finds how well it tells"
        )
    if hopeful is not None:
        needed = items_needed(hopeful.counted, hopeful.pays_from)
        more = f"about {needed} items would tell" if needed else "it is too close to call"
        return (
            f"undecided: {hopeful.model} was right on {said_share(hopeful.counted)}, and would pay from "
            f"{hopeful.pays_from:.0%} on; {more}"
        )
    return f"start on {reference}: no cheaper model was right often enough to pay for itself"


def _untold(measured: ComparedStep, reference: str) -> str:
    """Return why nothing is said where no answer could be told right or wrong, or no other model has a price."""
    if measured.truth.quality is None:
        return f"nothing to compare: {reference} has no answers, or no other model's price is known"
    return (
        f"nothing can be told: no item carries its right answer in `{measured.truth.quality.gold}`, or no other "
        "model's price is known; name the field with --gold, or compare by agreement without it"
    )


def items_needed(counted: Share, mark: float) -> int | None:
    """Return about how many items would put the interval clear of the mark, if the share stayed; None: far too many.

    Normal approximation: the half-width 1.96 * sqrt(p (1 - p) / n) must be less than the distance.
    """
    rate = counted.right / counted.of
    distance = abs(rate - mark)
    if distance < 0.01:
        return None
    return max(counted.of + 1, math.ceil(1.96**2 * max(rate * (1 - rate), 0.01) / distance**2))
