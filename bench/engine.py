"""Measures the engine alone: items per second of queue, judging and storing, with a gateway that answers at once.

    python -m bench.engine [--quick] [--json] [--database sqlite|postgresql|both] [--items N ...]

Real processes (one worker, one orchestrator, Redis with its append-only file), no provider and no HTTP. Counted is
the time from the first item handed in to the end of the job. On SQLite a job with a student is measured, too: it learns
while the job runs and answers the rest. Prints {"targets": [...]} with --json.
"""

import argparse
import statistics
import sys

from bench.kit.figures import Target, at_least, finish, machine, parser, show
from bench.kit.stage import Run, Stage, staged
from firstline.orchestrator import api
from tests.servers import Missing

RATE = 1500.0
#: The slowest size must reach this share of the fastest one.
FLAT = 0.8
#: A job with a student must reach this share of the rate of one without, at as many items.
WITH_STUDENT, STUDENTS_ITEMS = 0.8, 100_000
#: Calls at once in the one worker, as in the profile for the cloud.
CONCURRENCY = 64


def measure(options: argparse.Namespace, database: str) -> tuple[dict[int, float], float | None]:
    """Return items -> items per second, the median of several jobs of each size; and the rate with a student."""
    sizes = options.items or ([1000, 10_000] if options.quick else [1000, 10_000, 100_000])
    found: dict[int, float] = {}
    # A student's audits go to the top tier, which has a worker of its own.
    top = 1 if database == "sqlite" else 0
    with staged(concurrency=CONCURRENCY, database=database, instant=True, top_workers=top) as stage:
        stage.run(300)
        for size in sizes:
            repeats = 3 if size <= 10_000 and not options.quick else 1 + (size <= 1000) * 2
            runs = [stage.run(size) for _ in range(repeats)]
            found[size] = statistics.median(run.items / run.seconds for run in runs)
            show(_line(database, runs), options)
        return found, _with_student(stage, options) if database == "sqlite" and STUDENTS_ITEMS in found else None


def _with_student(stage: Stage, options: argparse.Namespace) -> float:
    """Return the rate of a job whose student answered most of it; 0 where it did not come to that."""
    run = stage.run(STUDENTS_ITEMS, student=True)
    answered = api.status(run.job).by_tier.get("own", 0)
    show(f"with a student, which answered {answered:,}: {_line('sqlite', [run])}", options)
    return run.items / run.seconds if answered >= run.items / 2 else 0.0


def _line(database: str, runs: list[Run]) -> str:
    run = sorted(runs, key=lambda one: one.seconds)[len(runs) // 2]
    cpu = {
        name: 1000 * getattr(run.spent, name) / run.items for name in ("worker", "orchestrator", "redis", "producer")
    }
    spent = ", ".join(f"{name} {ms:.2f}" for name, ms in cpu.items())
    return (
        f"{database:10} {run.items:>7,} items: {run.items / run.seconds:7,.0f} items/s "
        f"(handing in {run.submit_s:.2f} of {run.seconds:.2f} s; ms of CPU an item: {spent}; "
        f"others took {run.others:.0%} of the machine)"
    )


def targets(database: str, found: dict[int, float], student: float | None) -> list[Target]:
    """Return the rate at each size, how flat it is, and what a student makes of it."""
    rates = [at_least(f"{database}: items/s, {size:,} items", rate, RATE, digits=0) for size, rate in found.items()]
    flat = at_least(f"{database}: slowest size over fastest", min(found.values()) / max(found.values()), FLAT)
    told = (
        []
        if student is None
        else [at_least("with a student over without", student / found[STUDENTS_ITEMS], WITH_STUDENT)]
    )
    return [*rates, *([flat] if len(found) > 1 else []), *told]


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    options = _options(argv)
    seen, found = machine(), []
    databases = ("sqlite", "postgresql") if options.database == "both" else (options.database,)
    show(seen, options)
    for database in databases:
        try:
            found += targets(database, *measure(options, database))
        except Missing as missing:
            found.append({"name": f"{database}: items/s", "value": str(missing), "target": f">= {RATE:g}", "met": None})
    return finish({"bench": "engine", "machine": seen, "targets": found}, options)


def _options(argv: list[str] | None) -> argparse.Namespace:
    made = parser("engine", __doc__ or "", "1,000 and 10,000 items instead of up to 100,000, on SQLite alone")
    made.add_argument("--database", choices=("sqlite", "postgresql", "both"))
    made.add_argument("--items", type=int, nargs="+", help="sizes of jobs to measure")
    options = made.parse_args(argv)
    options.database = options.database or ("sqlite" if options.quick else "both")
    return options


if __name__ == "__main__":
    sys.exit(main())
