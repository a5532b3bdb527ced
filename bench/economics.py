"""Measures that no job is dearer than the better of two rules: cheap first always, and the top tier alone.

    python -m bench.economics [--quick] [--json] [--items N]

Real processes; simulated models that settle a known share of the items, at price ratios of 1:3, 1:10 and 1:25, and
ladders of three whose middle tier settles next to nothing of what climbs to it. Nothing is known beforehand: each job
has a skill of its own. What the rules would have cost is computed from the same answers. Cheap first is counted as the
cheaper of with and without second tries, and in a ladder of three with and without the middle tier. Prints
{"targets": [...]} with --json.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from bench.kit.fallible import answers
from bench.kit.figures import Target, at_most, finish, machine, parser, show
from firstline.orchestrator import api
from firstline.schemas.job import JobRequest, JobState, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

RATIOS = (3, 10, 25)
SHARES = (5, 20, 40, 60, 80, 95)
ITEMS = 2000
#: Every cell, and all of them on average.
EACH, MEAN = 1.05, 1.02
#: Dollars of a call of the top model.
TOP_USD = 1e-3


@dataclass(frozen=True)
class Cell:
    """A ladder: prices beside the top tier's, and shares that each tier settles at a first and a second try."""

    name: str
    prices: tuple[float, ...]
    shares: tuple[tuple[int, int], ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models; they say how good they are."""
        return tuple(f"openai/sim-{first}-{again}" for first, again in (*self.shares, (100, 100)))


def cells(*, quick: bool) -> list[Cell]:
    """Return the ladders to run."""
    ratios = RATIOS[:2] if quick else RATIOS
    shares = (5, 40, 95) if quick else SHARES
    pairs = [
        Cell(f"1:{ratio}, {share}% accepted", (1 / ratio,), ((share, share // 5),))
        for ratio in ratios
        for share in shares
    ]
    middle = [
        Cell(f"useless middle, {share}% accepted below", (1 / 25, 1 / 3), ((share, share // 5), (5, 1)))
        for share in ((60,) if quick else (20, 60, 95))
    ]
    return pairs + middle


def rules(cell: Cell, items: Sequence[str]) -> float:
    """Return the dollars of the best fixed rule: any of the lower tiers, each with or without second tries."""
    below = range(len(cell.prices))
    ways = [way for count in range(len(cell.prices) + 1) for way in combinations(below, count)]
    return min(sum(_one(cell, way, item, tries) for item in items) for way in ways for tries in (1, 2))


def _one(cell: Cell, way: Sequence[int], item: str, tries: int) -> float:
    """Return the dollars of an item that is asked on some lower tiers and then on the top one."""
    total = 0.0
    for tier in way:
        for number in range(tries):
            total += cell.prices[tier] * TOP_USD
            if answers(cell.models[tier], item, number):
                return total
    return total + TOP_USD


def profile(cell: Cell) -> Profile:
    """Return the ladder's profile; all tiers are served by one worker."""
    return Profile.model_validate(
        {
            "name": "simulated",
            "tiers": [
                {
                    "name": f"tier{number}",
                    "queue": "cheap",
                    "concurrency": 16,
                    # Every call has 100 tokens in and 10 out, at one price for both.
                    "models": [{"name": model, "price": _price(price)}],
                }
                for number, (model, price) in enumerate(zip(cell.models, (*cell.prices, 1.0), strict=True))
            ],
        }
    )


def _price(of_top: float) -> dict[str, float]:
    per_million = of_top * TOP_USD / 110 * 1e6
    return {"input": per_million, "output": per_million}


def run(cell: Cell, number: int, items: Sequence[str]) -> float:
    """Run a job and return its dollars."""
    skill = Skill.model_validate(
        {
            "name": f"cell{number}",
            "instructions": f"Say which label fits, aspect {number}.",
            "input": {"text": {}},
            "reasoning": "low",
            "output": {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]},
        }
    )
    workflow = Workflow(name=f"cell{number}", steps=(Step(name="label", skill=skill.name),), skills=(skill,))
    asked = JobRequest(workflow=workflow, profile=profile(cell), options=Options(dedupe=False))
    job = api.submit(asked, ({"id": str(at), "text": item} for at, item in enumerate(items)))
    *_, last = api.watch(job, poll_s=0.1)
    if last.state is not JobState.DONE or last.settled != len(items):
        raise SystemExit(f"{cell.name}: job {job} is {last.state.value}, {last.settled} settled: {last.reason or ''}")
    return float(last.cost_usd or 0.0)


@dataclass
class _Fallible(Deployment):
    """A deployment whose workers fail as their models' names say."""

    def add(self, name: str, *module: str) -> None:
        what = ("bench.kit.fallible", *module[1:]) if module[0] == "firstline.workers.process" else module
        super().add(name, *what)


@contextmanager
def _deployed() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="firstline-bench-") as folder:
        deployment = _Fallible(
            Path(folder),
            f"sqlite:///{folder}/firstline.db",
            "models: {any: {answer: {kind: from_schema}}}",
            RedisServer(Path(folder) / "redis"),
            orchestrators=1,
            workers={"cheap": 1},
            env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
        )
        with running(deployment):
            yield


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("economics", __doc__ or "", "seven ladders instead of 21")
    made.add_argument("--items", type=int, help="items a job")
    options = made.parse_args(argv)
    count = options.items or ITEMS
    seen = machine()
    show(seen, options)
    found: dict[str, float] = {}
    with _deployed():
        for number, cell in enumerate(cells(quick=options.quick)):
            items = [f"number {at} of cell-{number}" for at in range(count)]
            paid, best = run(cell, number, items), rules(cell, items)
            found[cell.name] = paid / best
            frontier = count * TOP_USD
            show(
                f"{cell.name:36} {paid / frontier:7.1%} of the top tier alone, the best rule {best / frontier:7.1%}: "
                f"{paid / best:.3f}",
                options,
            )
    return finish({"bench": "economics", "machine": seen, "targets": targets(found)}, options)


def targets(found: dict[str, float]) -> list[Target]:
    """Return each job's cost over the better rule's, and their mean."""
    each = [at_most(f"{name}: cost over the better rule", value, EACH, digits=3) for name, value in found.items()]
    return [*each, at_most("all: cost over the better rule", sum(found.values()) / len(found), MEAN, digits=3)]


if __name__ == "__main__":
    sys.exit(main())
