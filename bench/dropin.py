"""Measures the drop-in endpoint: what an unmodified application pays, and loses, as its families come to be served.

    python -m bench.dropin [--quick] [--json]

An application with the official `openai` client sends requests of four families to `/v1/chat/completions`, in eight
runs of 256. Its bill, with all that shadow and audits cost, is counted by the simulated provider's own log, and what it
lost by the truth that stands in its requests; the cheap model is wrong in one of ten.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.kit.figures import at_most, finish, machine, parser, show
from firstline.orchestrator import api
from firstline.orchestrator.store import families
from tests.acceptance.application import bill, known, run_application, script_of
from tests.acceptance.web_deployment import WebDeployment, web_deployment

#: 256 requests: of each six rounds one asks for a poem and for a tool, too.
ROUNDS = 96
RUNS = 8
#: What a run costs at the end beside one that the top model answers alone.
GOAL = 0.5


@dataclass(frozen=True)
class Run:
    """One run of the application."""

    requests: int
    #: Of the families that can be certified: requests, and those answered wrong.
    closed: int
    lost: int
    usd: float
    top: int
    cheap: int
    served: tuple[str, ...]


def measure(options: argparse.Namespace) -> list[Run]:
    """Let the application run again and again, and count what each run cost."""
    found: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="firstline-bench-") as name:
        folder = Path(name)
        with web_deployment(folder, script=script_of(folder), FIRSTLINE_SHADOW_SHARE="1") as web:
            before = 0
            for number in range(4 if options.quick else RUNS):
                answers = run_application(web.url, web.token, web.folder, rounds=ROUNDS, seed=number)
                _wait_for_shadow(web)
                paid = web.deployment.paid()
                found.append(_run(answers, paid[before:]))
                before = len(paid)
                show(_line(number + 1, found[-1]), options)
    return found


def _run(answers: list[tuple[str, str]], paid: list[dict[str, object]]) -> Run:
    calls = [call["model"] for call in paid]
    served = tuple(sorted(kind for kind, family in known().items() if family.is_served))
    closed = [right for _, right in answers if right != "-"]
    return Run(
        len(answers), len(closed), closed.count("0"), bill(paid), calls.count("frontier"), calls.count("cheap"), served
    )


def _wait_for_shadow(web: WebDeployment, *, calm_s: float = 5.0) -> None:
    """Wait until nothing is asked of cheaper models any more: the next run begins with what this one has shown."""
    calls, since = -1, time.monotonic()
    while time.monotonic() - since < calm_s or _asked():
        if len(web.deployment.paid()) != calls:
            calls, since = len(web.deployment.paid()), time.monotonic()
        time.sleep(0.2)


def _asked() -> bool:
    with api.engine().db.reading() as tx:
        return any(families.by_state(tx, state="asked").values())


def _line(number: int, run: Run) -> str:
    return (
        f"run {number}: {run.requests} requests, {run.lost} of {run.closed} lost, ${run.usd:.4f}; calls top {run.top}, "
        f"cheap {run.cheap}; served from then on: {', '.join(run.served) or 'none'}"
    )


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    options = parser("dropin", __doc__ or "", "4 runs instead of 8").parse_args(argv)
    seen = machine()
    show(seen, options)
    runs = measure(options)
    begun = next((at for at, run in enumerate(runs, 1) if run.served), len(runs))
    after = runs[begun:]
    lost = sum(run.lost for run in after) / sum(run.closed for run in after) if after else None
    cost = after[-1].usd / runs[0].usd * runs[0].requests / after[-1].requests if after else None
    targets = [
        at_most("share of served answers lost", lost, 0.05, digits=4),
        at_most("bill of the last run beside the first", cost, GOAL, digits=3),
    ]
    return finish({"bench": "dropin", "machine": seen, "targets": targets}, options)


if __name__ == "__main__":
    sys.exit(main())
