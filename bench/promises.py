"""What users are told beside what they get: simulated ladders, stand-in models, steps' own limits, looks, drift.

`python -m bench.promises [--quick] [--json]`

Populations of items have a true answer's worth for each model (how sure it is, whether it is lost to the top model).
Each run calibrates a ladder on a sample as `firstline calibrate` does (shares of loss and delta, labels bought in
lots), resolves thresholds as a submitted job does, and serves fresh items through the worker's own decisions. Counted
is the share of runs whose delivered loss is above the loss that the job's thresholds claim; by the guarantee it is at
most delta in every cell. Audits are Bernoulli draws. What reports say was saved is held against what the simulated
provider billed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.free_text import audited_run, certified_run
from bench.kit.figures import at_least, at_most, finish, parser, show
from bench.savings import savings
from firstline.orchestrator.plans.thresholds import thresholds_of
from firstline.orchestrator.quality.calibration.audit import has_changed, live_loss
from firstline.orchestrator.quality.calibration.buying import certify
from firstline.orchestrator.quality.calibration.shares import delta_of_look, deltas_of, loss_of
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.store.calibrations import Certificate
from firstline.schemas.plan import PlannedStep, Step
from firstline.schemas.policy import Confidence, Policy, Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Tier
from firstline.schemas.verdict import Accept
from firstline.workers.rules.policy import Situation, decide, first_tier

DELTA, MAX_LOSS, LABELS, SERVED = 0.1, 0.05, 200, 20_000
#: Simulated runs of audits; they cost little.
DRIFTS = 2000
#: Right in so many of either kind of pairs.
JUDGED = 0.9
#: Answers in prose: (accuracy, how well confidence tells right from wrong), and how often the judge is right.
PROSE = (
    ("free text, a judge of 90%", (0.85, 2.0), JUDGED),
    ("free text, a judge of 97%", (0.85, 2.0), 0.97),
    ("free text, a judge of 90%, a signal that says nothing", (0.949, 0.0), JUDGED),
)
SKILL = Skill.model_validate(
    {
        "name": "s",
        "instructions": "-",
        "input": {"text": {}},
        "output": {"type": "string"},
        "confidence": [{"kind": "agreement"}],
    }
)


@dataclass(frozen=True)
class Cell:
    """A shape of ladder: models of each tier below the top, and how a run is served."""

    name: str
    #: (accuracy, how well confidence tells right from wrong) of each model, tier by tier.
    tiers: tuple[tuple[tuple[float, float], ...], ...]
    #: The first model of each tier cools down for half of the items.
    fallback: bool = False
    #: Loss that the step says it bears; None: it says nothing.
    bears: float | None = None
    #: Looks that are taken until one certifies anything.
    looks: int = 1

    @property
    def policy(self) -> Policy:
        """The step's policy."""
        return Policy() if self.bears is None else Policy(max_loss=self.bears)


CELLS = (
    Cell("two tiers", (((0.85, 2.0),),)),
    Cell("three tiers, a middle one that is sure of all", (((0.85, 2.0),), ((0.7, 0.0),))),
    Cell("four tiers", (((0.8, 2.0),), ((0.85, 1.5),), ((0.9, 1.5),))),
    Cell("three models in a tier, the first cools down", (((0.85, 2.0), (0.7, 0.0), (0.8, 1.0)),), fallback=True),
    Cell("three tiers of two models", (((0.8, 2.0), (0.75, 1.0)), ((0.9, 1.5), (0.85, 0.5))), fallback=True),
    Cell("a step that bears half", (((0.85, 2.0),),), bears=0.025),
    Cell("five looks at a signal that says nothing", (((0.949, 0.0),),), looks=5),
)


def main() -> int:
    options = parser("promises", __doc__ or "", "60 runs a cell instead of 400").parse_args()
    runs = 60 if options.quick else 400
    targets = []
    for number, cell in enumerate(CELLS):
        missed, served = _misses(cell, runs, seed=number)
        show(f"{cell.name:<52} missed {missed:6.1%}   served below the top {served:6.1%}", options)
        targets.append(at_most(f"runs above their claim: {cell.name}", missed, DELTA, digits=3))
    targets += _free_text(runs, options)
    found, alarms, covered = _drift(DRIFTS)
    targets += [
        at_least("drift to twice the borne loss found within 150 audits", found, 0.9, digits=3),
        at_most("false alarms over 400 audits at half of the borne loss", alarms, 0.05, digits=3),
        at_least("live loss within its interval, 20% accepted", covered, 0.95, digits=3),
    ]
    targets += _savings(7 if options.quick else 42, options)
    return finish({"bench": "promises", "runs": runs, "targets": targets}, options)


def _savings(jobs: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the target of the saving that reports state, on whole jobs through the engine."""
    apart = [one.apart for one in savings(jobs)]
    show(f"{'savings of ' + str(jobs) + ' jobs':<52} apart {np.mean(apart):6.1%}   at most {max(apart):6.1%}", options)
    return [at_most("saving stated, from what was saved, on average", float(np.mean(apart)), 0.02, digits=3)]


def _free_text(runs: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the targets of answers in prose, certified and audited on the word of a judge."""
    targets = []
    for name, model, accuracy in PROSE:
        rng = np.random.default_rng([100, len(targets)])
        ran = [certified_run(model, accuracy, rng, max_loss=MAX_LOSS, delta=DELTA, labels=LABELS) for _ in range(runs)]
        missed = float(np.mean([lost > claimed for lost, claimed, _ in ran]))
        show(f"{name:<52} missed {missed:6.1%}   served below the top {np.mean([on for *_, on in ran]):6.1%}", options)
        targets.append(at_most(f"runs above their claim: {name}", missed, DELTA, digits=3))
    rng = np.random.default_rng(101)
    calm = [audited_run(MAX_LOSS / 2, JUDGED, rng, max_loss=MAX_LOSS) for _ in range(5 * runs)]
    naive = [audited_run(MAX_LOSS / 2, JUDGED, rng, max_loss=MAX_LOSS, known=False) for _ in range(runs)]
    risen = [audited_run(0.3, JUDGED, rng, max_loss=MAX_LOSS) for _ in range(runs)]
    alarms, found = (float(np.mean([flagged for _, flagged in one])) for one in (calm, risen))
    missed = float(np.mean([missed for missed, _ in calm + risen]))
    taken = float(np.mean([flagged for _, flagged in naive]))
    name = "free text, audited 400 times at half the borne loss"
    show(f"{name:<52} flagged {alarms:6.1%}  (the judge taken at its word: {taken:6.1%})", options)
    return [
        *targets,
        at_most("free text: live loss ever outside of its interval", missed, 0.05, digits=3),
        at_most("free text: drift flagged at half of the borne loss", alarms, 0.05, digits=3),
        at_least("free text: a loss of 30% is found within 400 audits", found, 0.9, digits=3),
    ]


def _misses(cell: Cell, runs: int, *, seed: int) -> tuple[float, float]:
    """Return the share of runs that lost more than they claimed, and the mean share served below the top tier."""
    results = [_run(cell, np.random.default_rng([seed, run])) for run in range(runs)]
    return float(np.mean([lost > claimed for lost, claimed, _ in results])), float(np.mean([on for *_, on in results]))


def _run(cell: Cell, rng: np.random.Generator) -> tuple[float, float, float]:
    tiers = tuple(
        Tier(name=f"t{n}", models=tuple(Model(name=f"m{n}{k}") for k in range(len(models))))
        for n, models in enumerate(cell.tiers)
    )
    known = _calibrate(cell, tiers, rng)
    thresholds = thresholds_of(SKILL, cell.policy, tiers, known)
    planned = PlannedStep(
        step=Step(name="s", skill="s"), segment=0, start_tier="t0", policy=cell.policy, thresholds=thresholds
    )
    claimed = sum(max((one.max_loss or 0.0 for one in models.values()), default=0.0) for models in thresholds.values())
    lost, served = _serve(cell, planned, tiers, rng)
    return lost, claimed, served


def _answers(cell: Cell, count: int, rng: np.random.Generator) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Return (confidence, lost) of each model for the same items: hard ones are hard for all."""
    hard = rng.random(count)
    return [[_model(accuracy, sharp, hard, rng) for accuracy, sharp in models] for models in cell.tiers]


def _model(accuracy: float, sharp: float, hard: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    lost = rng.random(len(hard)) < 2 * (1 - accuracy) * hard
    score = rng.normal(size=len(hard)) - sharp * lost
    return 1 / (1 + np.exp(-score)), lost


def _calibrate(cell: Cell, tiers: Sequence[Tier], rng: np.random.Generator) -> dict[str, Certificate]:
    found: dict[str, Certificate] = {}
    deltas = deltas_of(DELTA, [len(tier.models) for tier in tiers])
    for look in range(1, cell.looks + 1):
        sample = _answers(cell, 4 * LABELS, rng)
        for tier, answers, each in zip(tiers, sample, deltas, strict=True):
            for model, (confidence, lost), delta in zip(tier.models, answers, each, strict=True):
                share = loss_of(MAX_LOSS, len(tiers))
                target = Target(share, delta_of_look(delta, look))
                seed = int(rng.integers(2**31))
                made = certify(confidence, partial(_labels, lost), target=target, labels=LABELS, seed=seed)
                found[model.name] = Certificate(
                    calibration=1,
                    model=model.name,
                    signal="agreement",
                    threshold=made.threshold,
                    max_loss=share if made.threshold is not None else 0.0,
                    delta=delta,
                    borne=MAX_LOSS,
                )
        if any(one.threshold is not None for one in found.values()):
            break
    return found


def _labels(lost: np.ndarray, rows: Sequence[int]) -> dict[int, bool]:
    return {row: bool(lost[row]) for row in rows}


def _serve(cell: Cell, planned: PlannedStep, tiers: Sequence[Tier], rng: np.random.Generator) -> tuple[float, float]:
    """Return the loss over fresh items, and the share that a tier below the top answered."""
    ladder = (*(tier.name for tier in tiers), "top")
    answers = _answers(cell, SERVED, rng)
    start = ladder.index(first_tier(planned, ladder, ladder[0]))
    open_ = np.ones(SERVED, dtype=bool)
    lost = np.zeros(SERVED, dtype=bool)
    for n, tier in list(enumerate(tiers))[start:]:
        models = [k for k, model in enumerate(tier.models) if planned.may_accept(tier.name, model.name)]
        if not models:
            continue
        # While its first model cools down, another that may accept answers; where there is none, the item waits.
        stands_in = models[1:] or models
        chosen = np.where(rng.random(SERVED) < 0.5, models[0], rng.choice(stands_in, SERVED)) if cell.fallback else None
        for k in models:
            mine = open_ if chosen is None else open_ & (chosen == k)
            if chosen is None and k != models[0]:
                continue
            confidence, losses = answers[n][k]
            threshold = planned.threshold(tier.name, tier.models[k].name)
            accepted = mine & _accepts(planned.policy, tier.name, ladder, threshold)(confidence)
            lost |= accepted & losses
            open_ &= ~accepted
    return float(lost.mean()), float(1 - open_.mean())


def _accepts(
    policy: Policy, tier: str, ladder: tuple[str, ...], threshold: Threshold | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return which confidences the worker accepts: its own decision at a few, and the edge between them."""

    def is_accepted(value: float) -> bool:
        sure = Confidence(signal="agreement", value=value)
        return isinstance(decide(Situation(policy, tier, ladder, confidence=sure, threshold=threshold)), Accept)

    if threshold is None or threshold.value is None:
        everything = is_accepted(0.5)
        return lambda confidence: np.full(confidence.shape, everything)
    edge = threshold.value
    assert is_accepted(edge)
    assert not is_accepted(edge - 1e-9)
    return lambda confidence: confidence >= edge


def _drift(runs: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(7)
    calm = [list(rng.random(400) < MAX_LOSS / 2) for _ in range(runs)]
    found = [has_changed([*before, *(rng.random(150) < 2 * MAX_LOSS)], MAX_LOSS) for before in calm]
    alarms = [has_changed(before, MAX_LOSS) for before in calm]
    covered = []
    for _ in range(runs):
        accepted = int((rng.random(150) < 0.2).sum())
        outcomes = list(rng.random(accepted) < 0.3)
        seen = live_loss(outcomes, accepted=accepted, answered=150, max_loss=MAX_LOSS)
        covered.append(seen.low <= 0.06 <= seen.high)
    return float(np.mean(found)), float(np.mean(alarms)), float(np.mean(covered))


if __name__ == "__main__":
    sys.exit(main())
