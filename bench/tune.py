"""Choosing and certifying a pipeline on recorded answers: what it costs beside the best pair in hindsight.

`python bench/tune.py --records F.jsonl [--top NAME] --max-loss .05 --delta .1 --labels 200 --splits 50 --json`

One JSON line an item: {"id", "text", "models": {NAME: {"answer", "correct": 0|1, "confidence": number|null, "cost_usd",
"confidence_cost_usd"}}}. The code that chooses is `firstline tune`'s own. A split is a random order of the items, the
same for every method; the file is the population, so loss and cost are counted over all of it:

  tune         at most --labels labels, its own choosing among them
  best_pair    the one cheap model that is cheapest in hindsight, over all splits, under the top model, with a threshold
               by plain Learn-then-Test on all labels
  random_pair  the same of a model drawn at random
  frontier     the top model alone

cost_share: dollars beside the top model alone; missed: share of splits with a true loss above --max-loss;
labels_cost_share: dollars of everything that was asked to choose and certify, beside the top model on all items.
Without --records: nine simulated models, --sets of each kind of bench/kit/simulated_models.py.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench.kit.figures import Target, at_most
from bench.kit.simulated_models import development_sets
from firstline.orchestrator.experiments.tuning.pipeline import tune
from firstline.orchestrator.experiments.tuning.recorded import RecordedSource, Records, read_records
from firstline.orchestrator.quality.calibration.methods import learn_then_test
from firstline.orchestrator.quality.calibration.threshold import Target as Promise
from firstline.schemas.errors import UserError

#: What the goal allows beside the best pair in hindsight.
GOAL = 1.06


@dataclass(frozen=True)
class Setting:
    """What every method is given."""

    target: Promise
    labels: int
    splits: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """One method on one split."""

    cost_share: float
    loss: float
    labels_cost_share: float


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    setting = Setting(Promise(options.max_loss, options.delta), options.labels, options.splits, options.seed)
    if options.quick:
        setting = Setting(setting.target, setting.labels, min(setting.splits, 10), setting.seed)
    try:
        sets = _named(options.records, options.top) if options.records else development_sets(options.sets)
        found = {name: compare(records, setting) for name, records in sets.items()}
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shaped = _shape(found, setting, single=bool(options.records))
    print(json.dumps(shaped) if options.json else _table(found, setting))
    return 0


def _named(path: Path, top: str | None) -> Mapping[str, Records]:
    return {path.stem: read_records(path, top=top)}


def compare(records: Records, setting: Setting) -> dict[str, dict[str, float]]:
    """Return what each method comes to over the splits of one set."""
    _refuse(records, setting)
    rng = np.random.default_rng(setting.seed)
    orders = [rng.permutation(records.rows) for _ in range(setting.splits)]
    pairs = {name: [_pair(records, name, order, setting) for order in orders] for name in records.candidates}
    best = min(pairs, key=lambda name: float(np.mean([one.cost_share for one in pairs[name]])))
    drawn = rng.integers(len(pairs), size=setting.splits)
    names = list(pairs)
    methods = {
        "tune": [_tuned(records, setting, split) for split in range(setting.splits)],
        "best_pair": pairs[best],
        "random_pair": [pairs[names[at]][split] for split, at in enumerate(drawn)],
        "frontier": [Outcome(1.0, 0.0, 0.0)],
    }
    return {name: _mean(outcomes, setting.target) for name, outcomes in methods.items()}


def _refuse(records: Records, setting: Setting) -> None:
    target = setting.target
    if not (0 < target.max_loss < 1 and 0 < target.delta < 1 and setting.splits >= 1):
        raise UserError("expected --max-loss and --delta between 0 and 1, and --splits of 1 or more")
    if not 1 <= setting.labels <= records.rows:
        raise UserError(f"expected --labels between 1 and the file's {records.rows} items, got {setting.labels}")
    if not records.candidates:
        raise UserError(f"expected models beside {records.top}, the top one; the file has no other")
    if not records.top_usd.sum() > 0:
        raise UserError(f"expected the top model {records.top} to cost something; all its dollars are 0")


def _tuned(records: Records, setting: Setting, split: int) -> Outcome:
    source = RecordedSource(records)
    found = tune(source, setting.labels, setting.target, seed=setting.seed + split)
    spent = source.spent_usd / float(records.top_usd.sum())
    if found.candidate is None or found.threshold is None:
        return Outcome(1.0, 0.0, spent)
    return _outcome(records, found.candidate, found.threshold, spent)


def _pair(records: Records, candidate: str, order: Any, setting: Setting) -> Outcome:
    rows = order[: setting.labels]
    answers, lost = records.columns[candidate].answers, records.losses(candidate)
    target = setting.target
    found = learn_then_test(answers.confidence[rows], lost[rows], target.max_loss, target.delta)
    threshold = np.inf if found is None else found
    asked = records.top_usd[rows] + answers.cost_usd[rows] + answers.confidence_usd[rows]
    return _outcome(records, candidate, threshold, float(asked.sum() / records.top_usd.sum()))


def _outcome(records: Records, candidate: str, threshold: float, labels_cost: float) -> Outcome:
    """Return a pair's true cost and loss; one that accepts nothing still asks the cheap model."""
    answers = records.columns[candidate].answers
    accepted = answers.confidence >= threshold
    signal = 0.0 if accepted.all() else answers.confidence_usd
    paid = answers.cost_usd + signal + np.where(accepted, 0.0, records.top_usd)
    lost = accepted & records.losses(candidate)
    return Outcome(float(paid.sum() / records.top_usd.sum()), float(lost.mean()), labels_cost)


def _mean(outcomes: Sequence[Outcome], target: Promise) -> dict[str, float]:
    return {
        "cost_share": round(float(np.mean([one.cost_share for one in outcomes])), 4),
        "missed": round(float(np.mean([one.loss > target.max_loss for one in outcomes])), 4),
        "labels_cost_share": round(float(np.mean([one.labels_cost_share for one in outcomes])), 4),
    }


def _shape(found: Mapping[str, Any], setting: Setting, *, single: bool) -> dict[str, Any]:
    shaped = {name: {"methods": methods} for name, methods in found.items()}
    body: dict[str, Any] = next(iter(shaped.values())) if single else {"sets": shaped}
    return {**body, "targets": _targets(list(found.values()), setting)}


def _targets(sets: Sequence[Mapping[str, Mapping[str, float]]], setting: Setting) -> list[Target]:
    """Compare what a user meets on average: cost over all sets, and splits of all sets that missed."""

    def mean(method: str, figure: str) -> float:
        return float(np.mean([methods[method][figure] for methods in sets]))

    goal = round(min(1.0, GOAL * mean("best_pair", "cost_share")), 4)
    return [
        at_most("splits that missed", mean("tune", "missed"), setting.target.delta, digits=4),
        at_most("cost share", mean("tune", "cost_share"), goal, digits=4),
        at_most("cost share, the dearest set", max(one["tune"]["cost_share"] for one in sets), 1.0, digits=4),
    ]


def _table(found: Mapping[str, Mapping[str, Mapping[str, float]]], setting: Setting) -> str:
    target = setting.target
    lines = [
        f"loss <= {target.max_loss:g} with probability {1 - target.delta:g}; {setting.labels} labels, "
        f"{setting.splits} splits, over all items"
    ]
    for name, methods in found.items():
        lines += ["", f"{name:<28}{'cost':>8}{'missed':>8}{'labels cost':>13}"]
        lines += [
            f"  {method:<26}{row['cost_share']:>8.1%}{row['missed']:>8.1%}{row['labels_cost_share']:>13.1%}"
            for method, row in methods.items()
        ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench tune", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--records", type=Path, help="JSON Lines of recorded answers, one item a line")
    parser.add_argument("--top", help="the top model; the dearest when missing")
    parser.add_argument("--max-loss", type=float, default=0.05)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", type=int, default=1, help="simulated sets of each kind")
    parser.add_argument("--quick", action="store_true", help="10 splits at most")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
