"""Compare ways to set a threshold: how often each misses its target, and what share it sends to the frontier.

`python bench/calibration.py --scores F.csv --max-loss .05 --delta .1 --labels 200 --splits 400 [--seed 0] [--json]`

A split is a random order of the file's rows. The textbook methods label its first rows; BARGAIN and ours choose which
rows to label, within the same number. The file is the population: a threshold's loss and frontier share are taken over
all of its rows, so that what is counted is the true loss that the guarantee speaks of, not a sample of it.
`--evaluate held-out` counts over the rows beyond the split's first `labels` instead, and ours then promises that of the
source (`--promise source`). Without `--scores` the data sets
in bench/data are used, one after the other.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench.bargain_baseline import bargain_accepts
from firstline.orchestrator.quality.calibration.bounds import File, Source
from firstline.orchestrator.quality.calibration.methods import conformal_risk_control, learn_then_test, naive
from firstline.orchestrator.quality.calibration.scores import Scores, read_scores
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.calibration.two_stage import search_two_stage
from firstline.schemas.errors import UserError

DATA = Path(__file__).parent / "data"

#: From a file's scores, a split's order and its number to which rows are accepted from the cheap tier.
Method = Callable[[Scores, Any, int], Any]


@dataclass(frozen=True)
class Setting:
    """What every method is given."""

    max_loss: float
    delta: float
    labels: int
    splits: int
    seed: int
    held_out: bool


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    setting = Setting(
        options.max_loss,
        options.delta,
        options.labels,
        options.splits,
        options.seed,
        options.evaluate == "held-out",
    )
    try:
        paths = [options.scores] if options.scores else sorted(DATA.glob("scores_*.csv"))
        results = {path.stem: compare(read_scores(path), setting) for path in paths}
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(_shape(results, single=bool(options.scores))) if options.json else _table(results, setting))
    return 0


def compare(scores: Scores, setting: Setting) -> dict[str, dict[str, float | None]]:
    """Return, per method, the share of splits that missed `max_loss` and the mean share below the threshold."""
    if not 1 <= setting.labels < len(scores):
        raise UserError(f"Expected --labels between 1 and {len(scores) - 1} for this file, got {setting.labels}.")
    if not (0 < setting.max_loss < 1 and 0 < setting.delta < 1 and setting.splits >= 1):
        raise UserError("Expected --max-loss and --delta between 0 and 1, and --splits of 1 or more.")
    return {name: _measure(method, scores, setting) for name, method in _methods(setting).items()}


def _methods(setting: Setting) -> dict[str, Method]:
    def uniform(rule: Callable[..., float | None]) -> Method:
        def accepts(scores: Scores, order: Any, split: int) -> Any:
            rows = order[: setting.labels]
            return _above(rule(scores.confidence[rows], scores.loss[rows], setting.max_loss, setting.delta), scores)

        return accepts

    def bargain(scores: Scores, order: Any, split: int) -> Any:
        target = Target(setting.max_loss, setting.delta)
        return bargain_accepts(scores, target, labels=setting.labels, seed=setting.seed + split)

    def ours(scores: Scores, order: Any, split: int) -> Any:
        ask = partial(_lost, scores)
        target = Target(setting.max_loss, setting.delta)
        source, items = Source(setting.max_loss), File(len(scores), setting.max_loss)
        found = search_two_stage(
            scores.confidence,
            ask,
            order,
            setting.labels,
            target,
            # Rows beyond the sample are "next items", of which a promise about the file's items alone says nothing.
            population=source if setting.held_out else items,
            coin=float(np.random.default_rng([setting.seed, split]).random()),
        )
        return _above(found.threshold, scores)

    return {
        "naive": uniform(naive),
        "crc": uniform(conformal_risk_control),
        "ltt": uniform(learn_then_test),
        "bargain": bargain,
        "ours": ours,
    }


def _above(threshold: float | None, scores: Scores) -> Any:
    return scores.confidence >= (np.inf if threshold is None else threshold)


def _lost(scores: Scores, row: int) -> bool:
    return bool(scores.loss[row])


def _measure(method: Method, scores: Scores, setting: Setting) -> dict[str, float | None]:
    missed, shares = [], []
    try:
        for split, order in enumerate(_orders(len(scores), setting)):
            rows = order[setting.labels :] if setting.held_out else order
            accepted = method(scores, order, split)[rows]
            missed.append(float((accepted & scores.loss[rows]).mean()) > setting.max_loss)
            shares.append(1 - float(accepted.mean()))
    except ImportError as error:
        print(f"{error}; `pip install bargain` to compare with it", file=sys.stderr)
        return {"missed": None, "frontier_share": None}
    return {"missed": round(float(np.mean(missed)), 4), "frontier_share": round(float(np.mean(shares)), 4)}


def _orders(rows: int, setting: Setting) -> Iterator[Any]:
    """Draw the orders of the splits, the same for every method."""
    rng = np.random.default_rng(setting.seed)
    return (rng.permutation(rows) for _ in range(setting.splits))


def _shape(results: dict[str, Any], *, single: bool) -> dict[str, Any]:
    shaped = {name: {"methods": methods} for name, methods in results.items()}
    return next(iter(shaped.values())) if single else {"sets": shaped}


def _table(results: dict[str, Any], setting: Setting) -> str:
    where = "held-out rows" if setting.held_out else "all rows"
    lines = [
        f"loss <= {setting.max_loss:g} with probability {1 - setting.delta:g}; {setting.labels} labels, "
        f"{setting.splits} splits, over {where}"
    ]
    for name, methods in results.items():
        lines += ["", f"{name:<28}{'missed':>8}{'frontier share':>16}"]
        lines += [
            f"  {method:<26}{_percent(row['missed']):>8}{_percent(row['frontier_share']):>16}"
            for method, row in methods.items()
        ]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench calibration", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--scores", type=Path, help="CSV: id,confidence,cheap_correct[,frontier_correct]")
    parser.add_argument("--max-loss", type=float, default=0.05)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--splits", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate", choices=["all", "held-out"], default="all")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
