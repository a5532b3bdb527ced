"""What every contender shares: the same calls, the same count of CPU, one line of JSON as its result."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_BLOG_POSTS"):
    os.environ[name] = "True"
os.environ["LITELLM_LOG"] = "ERROR"
for name in ("AIOHTTP_CONNECTOR_LIMIT", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST"):
    os.environ[name] = "4000"

#: Calls before the clock starts: connections are open and caches are warm.
WARM = 100


@dataclass(frozen=True)
class Task:
    """What a contender is told: a template of a call, how many, how many at once."""

    template: dict[str, Any]
    calls: int
    at_once: int
    redis: str | None

    def request(self, n: int) -> dict[str, Any]:
        """Return the arguments of litellm's completion for call `n`."""
        messages = json.loads(json.dumps(self.template["messages"]).replace("THE-ITEM", f"peer {os.getpid()} {n}"))
        return {**self.template, "messages": messages}


def read_task() -> Task:
    """Return the task on the command line, with litellm knowing the model as it knows those of large providers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("template", type=Path)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--redis")
    told = parser.parse_args()
    template = json.loads(told.template.read_text())
    know(template["model"])
    return Task(template, told.calls, told.at_once, told.redis)


def know(model: str) -> None:
    """Tell litellm of a model that is not on its list: it would search that at length on every call."""
    import litellm

    litellm.suppress_debug_info = True
    prices = {"input_cost_per_token": 1e-7, "output_cost_per_token": 4e-7}
    litellm.register_model({model: {"litellm_provider": model.partition("/")[0], "mode": "chat", **prices}})


def label_of(response: Any) -> str:
    """Return the answer's value; an answer that is none is an error."""
    return str(json.loads(response.choices[0].message.content)["label"])


def clocked(
    work: Callable[[], list[str]], calls: int, *, worker: int | None = None, beside: Sequence[int] = ()
) -> None:
    """Run `work` and print what it took: wall seconds, CPU seconds of the worker and of all processes together.

    `worker` is the process that makes the calls, where that is not this one; `beside` are those that serve it.
    """
    before, wall = _cpu_s(worker, beside), time.perf_counter()
    labels = work()
    wall, after = time.perf_counter() - wall, _cpu_s(worker, beside)
    if len(labels) != calls or not all(label in ("a", "b", "c") for label in labels):
        sys.exit(f"{len(labels)} answers instead of {calls}")
    spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
    print(json.dumps({"calls": calls, "wall_s": wall, "worker_cpu_s": spent[0], "cpu_s": sum(spent)}))


def _cpu_s(worker: int | None, beside: Sequence[int]) -> list[float]:
    """Return the CPU seconds of the worker first, then of the others."""
    own = time.process_time()
    mine = [own] if worker is None else [_cpu_of(worker), own]
    return [*mine, *map(_cpu_of, beside)]


def _cpu_of(pid: int) -> float:
    import psutil

    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(sum(sum(process.cpu_times()[:2]) for process in family))
