"""Measures what the machinery adds to one call, as a job or passed on, and the time to the first result of a large job.

    python -m bench.latency [--quick] [--json] [--database sqlite|postgresql]

Real processes, a simulated provider that answers after a fixed time, which is taken off. A result counts as there
when the producer that waits for it has seen the job end. Prints {"targets": [...]} with --json.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.kit.figures import at_most, finish, machine, parser, show
from bench.kit.stage import Stage, staged
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from firstline.workers.providers.litellm_gateway import load
from tests.acceptance.web_deployment import served
from tests.acceptance.workload import items

MODEL_S = 0.1
P50_MS, P99_MS = 30.0, 100.0
#: Seconds between two looks of the producer that waits.
LOOK_S = 0.002
LARGE = 10_000
#: Calls through the endpoint before any is counted.
WARM = 20


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


def passed_on_ms(stage: Stage, times: int) -> list[float]:
    """Return what asking through `firstline serve` takes beyond asking the provider, both by litellm, in order of size.

    One after the other in turns, so that whatever else the machine does befalls both.
    """
    litellm = load()._litellm
    provider = f"http://127.0.0.1:{stage.deployment.sim_port}/v1"
    with endpoint(stage) as (url, token):
        ways = [{"api_base": provider, "api_key": "none"}, {"api_base": f"{url}/v1", "api_key": token}]
        taken: list[list[float]] = [[], []]
        for n in range(times + WARM):
            messages = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": f"Word {n}?"}]
            for way, found in zip(ways, taken, strict=True):
                begun = time.perf_counter()
                litellm.completion(model="openai/frontier", messages=messages, **way)
                found.append((time.perf_counter() - begun) * 1000)
    bare, ours = (found[WARM:] for found in taken)
    return sorted(mine - theirs for mine, theirs in zip(ours, bare, strict=True))


@contextmanager
def endpoint(stage: Stage) -> Iterator[tuple[str, str]]:
    """Run the web process before a stage; yield its address and a token."""
    folder = stage.deployment.folder
    (folder / "home/tiers").mkdir(parents=True, exist_ok=True)
    (folder / "home/tiers/simulated.yaml").write_text(as_yaml(stage.deployment.profile()))
    more = {"FIRSTLINE_HOME": str(folder / "home"), "FIRSTLINE_PROFILE": "simulated"}
    stage.deployment.env = {**stage.deployment.env, **more, "FIRSTLINE_API_REQUESTS_PER_MINUTE": "1000000"}
    token, _ = tokens.create(api.engine().db, name="bench", role=Role.SUBMITTER, tenant="default")
    with served(folder, stage.deployment) as url:
        yield url, token


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
        passed = passed_on_ms(stage, times // 2)
        firsts = [first_result_s(stage, f"first {n}") for n in range(1 if options.quick else 3)]
    p50, p99 = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
    first_s, after_s = (statistics.median(column) for column in zip(*firsts, strict=True))
    show(f"added to one call: p50 {p50:.1f} ms, p90 {found[int(times * 0.9)]:.1f} ms, p99 {p99:.1f} ms", options)
    through = statistics.median(passed)
    through90 = passed[int(len(passed) * 0.9)]
    show(f"added by the endpoint to what it passes on: p50 {through:.1f} ms, p90 {through90:.1f} ms", options)
    show(f"first of {LARGE:,} results: {first_s:.2f} s after submitting began, {after_s:.2f} s after it ended", options)
    targets = [
        at_most("added to a warm one-item job, p50 in ms", p50, P50_MS, digits=1),
        at_most("added to a warm one-item job, p99 in ms", p99, P99_MS, digits=1),
        at_most("added by the endpoint to a call that it passes on, p50 in ms", through, P50_MS, digits=1),
    ]
    figures = {"first_result_s": round(first_s, 3), "first_result_after_submit_s": round(after_s, 3)}
    return finish(
        {"bench": "latency", "machine": seen, "database": options.database, "targets": targets, **figures}, options
    )


if __name__ == "__main__":
    sys.exit(main())
