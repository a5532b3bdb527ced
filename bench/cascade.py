"""What a cascade is worth: accuracy and dollars of five ways to answer the same items, replayed through the engine.

`python bench/cascade.py [--job examples/gsm8k/job.yaml] [--limit N] [--quick] [--json]`

Real processes, recorded answers: the job runs as it is (ours), then each end of its ladder alone. From those three runs
of the same items follow the two ways that no run can show: random routing, which sends the same share of items to the
frontier by chance, and the oracle, which knows beforehand which model is right and pays for one call an item.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.statistics import paired_difference, wilson
from firstline.orchestrator.reports import baselines
from firstline.orchestrator.run import runner
from firstline.orchestrator.run.runner import View
from firstline.orchestrator.store import jobs
from firstline.orchestrator.submission.run_request import Order, Wishes, read_order
from firstline.schemas.errors import FirstlineError, UserError
from firstline.schemas.job import ItemResult, ItemState
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.plan import Quality, Workflow
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.scoring import score

JOB = Path(__file__).resolve().parents[1] / "examples" / "gsm8k" / "job.yaml"
QUICK_ITEMS = 120


@dataclass(frozen=True)
class Item:
    """One item by one way: its score (0 where it failed), what it cost, whether the frontier was asked."""

    score: float
    cost_usd: float
    frontier: bool


@dataclass(frozen=True)
class Line:
    """One way to answer all items."""

    accuracy: float
    cost_usd: float
    frontier_share: float
    #: Cost beside that of the frontier alone.
    of_frontier: float | None = None
    low: float | None = None
    high: float | None = None


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    limit = options.limit or (QUICK_ITEMS if options.quick else None)
    try:
        found = measure(options.job, limit)
    except FirstlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found) if options.json else table(found))
    return 0


def measure(job: Path, limit: int | None) -> dict[str, object]:
    """Run a job and its two baselines in a folder of their own and return all five ways."""
    with tempfile.TemporaryDirectory(prefix="cascade-") as folder:
        os.environ["FIRSTLINE_STATE_DIR"] = folder
        os.environ.pop("FIRSTLINE_DATABASE_URL", None)
        os.environ.pop("FIRSTLINE_REDIS_URL", None)
        get_settings.cache_clear()
        order = read_order(str(job), Wishes(limit=limit))
        ends = (BaselineKind.CHEAP, BaselineKind.FRONTIER)
        finished = runner.run(replace(order, baselines=ends), View(quiet=True))
        main_job = finished.status.job
        with api.engine().db.reading() as tx:
            cheap, frontier = (jobs.with_key(tx, idempotency_key=baselines.key(main_job, kind)) for kind in ends)
        runs = {"ours": main_job, "cheap": cheap, "frontier": frontier}
        return compare({name: _items(order, run) for name, run in runs.items() if run is not None})


def _items(order: Order, job: str) -> dict[str, Item]:
    """Return a run's items by id: those that carry the truth."""
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow) or workflow.quality is None:
        raise UserError("expected a job whose items carry the right answer (`quality:`), got one without")
    top = api.profile(job).ladder[-1].name
    fields = {item.item_id: item.input for item in order.items()}
    found = {}
    for result in api.results(job):
        said = _score(workflow.quality, result, fields.get(result.item_id, {}), order.functions)
        if said is not None:
            found[result.item_id] = Item(said, result.cost_usd or 0.0, result.tier == top)
    return found


def _score(
    quality: Quality, result: ItemResult, fields: Mapping[str, object], folders: tuple[Path, ...]
) -> float | None:
    output = result.output if result.status is ItemState.SETTLED else MISSING
    return score(quality, output, dict(fields), folders=folders)  # type: ignore[arg-type]


def compare(runs: Mapping[str, Mapping[str, Item]]) -> dict[str, object]:
    """Return every way's line and what ours gains, from three runs of the same items."""
    ids = sorted(set.intersection(*(set(run) for run in runs.values())))
    if not ids:
        raise UserError("none of the items carries the right answer; `quality.gold` names the field that holds it")
    cheap, frontier, ours = ([runs[name][one] for one in ids] for name in ("cheap", "frontier", "ours"))
    share = sum(item.frontier for item in ours) / len(ids)
    lines = {
        "cheap": line(cheap),
        "frontier": line(frontier),
        "random": random_routing(line(cheap), line(frontier), share),
        "oracle": line([oracle(*pair) for pair in zip(cheap, frontier, strict=True)]),
        "ours": line(ours),
    }
    top_usd = lines["frontier"].cost_usd
    shown = {name: replace(one, of_frontier=one.cost_usd / top_usd if top_usd else None) for name, one in lines.items()}
    return {
        "items": len(ids),
        "methods": {name: asdict(one) for name, one in shown.items()},
        "ours_minus_frontier": difference(frontier, ours),
        "targets": targets(shown),
    }


def line(items: Sequence[Item]) -> Line:
    """Return what items come to together, with the 95% Wilson interval of the accuracy."""
    right = sum(item.score for item in items)
    interval = wilson(round(right), len(items))
    return Line(
        accuracy=right / len(items),
        cost_usd=sum(item.cost_usd for item in items),
        frontier_share=sum(item.frontier for item in items) / len(items),
        low=interval.low,
        high=interval.high,
    )


def random_routing(cheap: Line, frontier: Line, share: float) -> Line:
    """Return what is to be expected when a share of the items, drawn by chance, goes to the frontier alone."""
    return Line(
        accuracy=(1 - share) * cheap.accuracy + share * frontier.accuracy,
        cost_usd=(1 - share) * cheap.cost_usd + share * frontier.cost_usd,
        frontier_share=share,
    )


def oracle(cheap: Item, frontier: Item) -> Item:
    """Return the cheap answer unless only the frontier's is better."""
    return replace(frontier, frontier=True) if frontier.score > cheap.score else replace(cheap, frontier=False)


def difference(first: Sequence[Item], second: Sequence[Item]) -> dict[str, float] | None:
    """Return the accuracy of the second minus the first with its paired 95% interval."""
    only_first = sum(one.score >= 1 > two.score for one, two in zip(first, second, strict=True))
    only_second = sum(two.score >= 1 > one.score for one, two in zip(first, second, strict=True))
    found = paired_difference(only_first, only_second, len(first))
    return None if found is None else found.model_dump()


def targets(lines: Mapping[str, Line]) -> list[dict[str, object]]:
    """Return the figures to reach: more often right than chance would be, at less than the frontier's cost."""
    gain = round(lines["ours"].accuracy - lines["random"].accuracy, 4)
    cost = lines["ours"].of_frontier
    return [
        {
            "name": "accuracy above random routing at equal share",
            "value": gain,
            "target": "> 0",
            "met": gain > 0,
        },
        {
            "name": "cost beside the frontier alone",
            "value": None if cost is None else round(cost, 4),
            "target": "< 1",
            "met": None if cost is None else cost < 1,
        },
    ]


def table(found: dict[str, object]) -> str:
    """Return the ways as a table for people."""
    methods: dict[str, dict[str, float | None]] = found["methods"]  # type: ignore[assignment]
    lines = [
        f"{found['items']} items",
        f"{'':<10}{'accuracy':>10}{'95% interval':>18}{'frontier':>10}{'cost':>10}{'of frontier':>13}",
    ]
    for name, one in methods.items():
        interval = "" if one["low"] is None else f"{one['low']:.1%} to {one['high']:.1%}"
        cost = "-" if one["of_frontier"] is None else f"{one['of_frontier']:.1%}"
        lines.append(
            f"{name:<10}{one['accuracy']:>10.1%}{interval:>18}{one['frontier_share']:>10.1%}"
            f"{'$' + format(one['cost_usd'], '.4f'):>10}{cost:>13}"
        )
    gap: dict[str, float] | None = found["ours_minus_frontier"]  # type: ignore[assignment]
    if gap is not None:
        lines.append(
            f"ours minus frontier: {100 * gap['estimate']:+.1f} points (95% interval {100 * gap['low']:+.1f} to "
            f"{100 * gap['high']:+.1f})"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench cascade", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--job", type=Path, default=JOB, help="a job file whose items carry the right answer")
    parser.add_argument("--limit", type=int, help="only the first so many items")
    parser.add_argument("--quick", action="store_true", help=f"only the first {QUICK_ITEMS} items")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
