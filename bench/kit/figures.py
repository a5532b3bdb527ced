"""Figures beside their targets, as a table or as JSON, with the machine that they were measured on."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

_MARKS: dict[object, str] = {True: "met", False: "NOT met", None: "not measured"}

Target = dict[str, object]


def at_most(name: str, value: float | None, limit: float, *, digits: int = 2) -> Target:
    """Return a figure that must not be above its limit; None: it could not be measured."""
    met = None if value is None else value <= limit
    return {"name": name, "value": _round(value, digits), "target": f"<= {limit:g}", "met": met}


def at_least(name: str, value: float | None, limit: float, *, digits: int = 2) -> Target:
    """Return a figure that must not be below its limit."""
    met = None if value is None else value >= limit
    return {"name": name, "value": _round(value, digits), "target": f">= {limit:g}", "met": met}


def machine() -> str:
    """Return in a line what machine this is and how busy it was."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = psutil.virtual_memory().total / 2**30
    return (
        f"{cores} cores of {_cpu()}, {memory_gb:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before"
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def parser(module: str, doc: str, quick: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every bench; `quick` says what --quick does."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{module}", description=doc.splitlines()[0])
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--json", action="store_true", help="print JSON alone")
    return made


def show(line: str, options: argparse.Namespace) -> None:
    """Print a line of the table, unless JSON alone is wanted."""
    if not options.json:
        print(line, flush=True)


def finish(bench: dict[str, object], options: argparse.Namespace) -> int:
    """Print a bench's targets; return 1 when one was missed."""
    found = bench["targets"]
    assert isinstance(found, Sequence)
    if options.json:
        print(json.dumps(bench))
    else:
        print()
        for one in found:
            print(f"{_MARKS[one['met']]:12} {one['name']}: {one['value']} (target {one['target']})")
    sys.stdout.flush()
    return 1 if any(one["met"] is False for one in found) else 0


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
