"""Measures what the machinery adds to one call: submit to result on warm workers, and the first result of a large job.

    python -m bench.latency [--quick] [--json] [--database sqlite|postgresql]

Real processes, a simulated provider that answers after a fixed time, which is taken off. A result counts as there
when the producer that waits for it has seen the job end. Prints {"targets": [...]} with --json.
"""

import statistics
import sys
import time

from bench.kit.figures import at_most, finish, machine, parser, show
from bench.kit.stage import Stage, staged
from firstline.orchestrator import api
from tests.acceptance.workload import items

MODEL_S = 0.1
P50_MS, P99_MS = 30.0, 100.0
#: Seconds between two looks of the producer that waits.
LOOK_S = 0.002
LARGE = 10_000


def added_ms(stage: Stage, times: int) -> list[float]:
    """Return the milliseconds that each of so many one-item jobs took beyond the model's answer, in order of size."""
    found = []
    for n in range(times):
        asked, begun = stage.request(), time.perf_counter()
        job = api.submit(asked, items(1, of=f"one {n}"))
        stage.wait(job, look_s=LOOK_S)
        found.append((time.perf_counter() - begun - MODEL_S) * 1000)
    return sorted(found)


def first_result_s(stage: Stage, of: str) -> tuple[float, float]:
    """Return the seconds to the first result of a large job, from its submitting and from its last item handed in."""
    begun = time.perf_counter()
    job = api.submit(stage.request(), items(LARGE, of=of))
    submitted = time.perf_counter()
    while not api.status(job).settled:
        time.sleep(0.01)
    seen = time.perf_counter()
    api.cancel(job)
    return seen - begun - MODEL_S, seen - submitted - MODEL_S


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("latency", __doc__ or "", "100 jobs of one item instead of 500")
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = made.parse_args(argv)
    seen, times = machine(), 100 if options.quick else 500
    show(seen, options)
    with staged(latency=MODEL_S, database=options.database) as stage:
        added_ms(stage, 20)
        found = added_ms(stage, times)
        firsts = [first_result_s(stage, f"first {n}") for n in range(1 if options.quick else 3)]
    p50, p99 = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
    first_s, after_s = (statistics.median(column) for column in zip(*firsts, strict=True))
    show(f"added to one call: p50 {p50:.1f} ms, p90 {found[int(times * 0.9)]:.1f} ms, p99 {p99:.1f} ms", options)
    show(f"first of {LARGE:,} results: {first_s:.2f} s after submitting began, {after_s:.2f} s after it ended", options)
    targets = [
        at_most("added to a warm one-item job, p50 in ms", p50, P50_MS, digits=1),
        at_most("added to a warm one-item job, p99 in ms", p99, P99_MS, digits=1),
    ]
    figures = {"first_result_s": round(first_s, 3), "first_result_after_submit_s": round(after_s, 3)}
    return finish(
        {"bench": "latency", "machine": seen, "database": options.database, "targets": targets, **figures}, options
    )


if __name__ == "__main__":
    sys.exit(main())
