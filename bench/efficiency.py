"""Measures how much of the concurrency that a provider allows is used: throughput over concurrency / latency.

    python -m bench.efficiency [--quick] [--json] [--latency NAME ...] [--at-once N ...] [--processes N ...]

Counted by the provider's own log: from the first call's beginning to the last one's, the share of the places for calls
that held one. After the last call has begun nothing waits, and places empty whoever schedules; `end to end` has that
tail in it, and the handing in of the items. Prints {"targets": [...]} with --json.
"""

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.kit.figures import Target, at_least, finish, machine, parser, show
from bench.kit.stage import Run, Stage, staged


@dataclass(frozen=True)
class Latency:
    """How long the provider takes: as the simulator plays it, its mean, and what is to be reached at 100 at once."""

    played: float | Mapping[str, Any]
    mean_s: float
    target: float | None = None


#: exp(mu + sigma^2 / 2) of the log-normal with median 1 s and 99th percentile 8 s is 1.491 s.
LATENCIES = {
    "0.2 s": Latency(0.2, 0.2),
    "2 s": Latency(2.0, 2.0, 0.95),
    "log-normal": Latency({"kind": "lognormal", "median": 1, "p99": 8}, 1.491, 0.90),
}
#: Calls for each place.
WAVES, QUICK_WAVES = 20, 12


@dataclass(frozen=True)
class Case:
    """One latency with so many calls at once in each of so many worker processes."""

    latency: str
    at_once: int
    processes: int

    @property
    def places(self) -> int:
        """Calls at once over all processes."""
        return self.at_once * self.processes

    @property
    def target(self) -> float | None:
        """What this case must reach."""
        aimed = self.at_once == 100 and self.processes == 1
        return LATENCIES[self.latency].target if aimed else None


def used(paid: Sequence[Mapping[str, Any]], places: int) -> float:
    """Return the share of the places that held a call, from the first call's beginning to the last one's."""
    calls = [(float(call["at"]) - float(call["delay_s"]), float(call["at"])) for call in paid]
    first, last = min(begun for begun, _ in calls), max(begun for begun, _ in calls)
    held = sum(min(ended, last) - begun for begun, ended in calls)
    return held / (places * (last - first))


def play(stage: Stage, case: Case, waves: int) -> tuple[float, Run]:
    """Run a job of so many calls for each place; return the share of places used, and the run."""
    stage.concurrency = case.at_once
    stage.tier = f"cheap{case.at_once}"
    before = len(stage.deployment.paid())
    run = stage.run(waves * case.places)
    return used(stage.deployment.paid()[before:], case.places), run


def cases(options: argparse.Namespace) -> list[Case]:
    """Return what is to be measured, those of one deployment together."""
    asked = itertools.product(options.latency, options.processes, options.at_once)
    return [Case(latency, at_once, processes) for latency, processes, at_once in asked]


def measure(options: argparse.Namespace) -> list[Target]:
    """Play all cases; return the targets."""
    found: list[Target] = []
    for (name, processes), group in itertools.groupby(cases(options), key=lambda one: (one.latency, one.processes)):
        latency = LATENCIES[name]
        with staged(latency=latency.played, workers=processes, concurrency=100) as stage:
            stage.run(100)
            for case in group:
                share, run = play(stage, case, QUICK_WAVES if options.quick else WAVES)
                end_to_end = run.items * latency.mean_s / case.places / run.seconds
                show(
                    f"{name:10} x {case.at_once:3} in {processes} process(es): {share:6.1%} of the places used, "
                    f"end to end {end_to_end:6.1%}, {run.items / run.seconds:6.1f} calls/s, "
                    f"worker CPU {run.spent.worker / run.seconds:.0%} of a core; "
                    f"others took {run.others:.0%} of the machine",
                    options,
                )
                if case.target is not None:
                    found.append(at_least(f"{name} x 100, one process: efficiency", share, case.target, digits=3))
    return found


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("efficiency", __doc__ or "", "the two cases with a target, with fewer calls")
    made.add_argument("--latency", nargs="+", choices=list(LATENCIES))
    made.add_argument("--at-once", nargs="+", type=int, help="calls at once in each process")
    made.add_argument("--processes", nargs="+", type=int, help="worker processes")
    options = made.parse_args(argv)
    options.latency = options.latency or (["2 s", "log-normal"] if options.quick else list(LATENCIES))
    options.at_once = options.at_once or ([100] if options.quick else [50, 100, 200, 400])
    options.processes = options.processes or ([1] if options.quick else [1, 2])
    seen = machine()
    show(seen, options)
    return finish({"bench": "efficiency", "machine": seen, "targets": measure(options)}, options)


if __name__ == "__main__":
    sys.exit(main())
