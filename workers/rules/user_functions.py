"""Calls of a user's own functions: bounded in time and number, and their errors are data."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstline.config.catalogue.functions import load
from firstline.schemas.errors import UserError

TIMEOUT_S = 5.0
#: A function that hangs keeps its thread, since Python cannot end one; this many may hang before none is called.
_SLOTS = threading.BoundedSemaphore(16)


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a user's function returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a user's function returned nothing: it is missing, raised or took too long."""

    reason: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """What is called: a function named `module:function`, and what with."""

    path: str
    arguments: Sequence[object]
    named: Mapping[str, object]
    folders: tuple[Path, ...]


#: Calls a function within so many seconds; it never raises.
Runner = Callable[[FunctionCall, float], FunctionResult | Broken]


def call(
    path: str,
    *arguments: object,
    named: Mapping[str, object] | None = None,
    folders: tuple[Path, ...] = (),
    timeout_s: float | None = None,
) -> FunctionResult | Broken:
    """Call the function named `module:function` with `arguments` and `named` ones; never raises.

    The calling thread waits for at most `timeout_s` (`TIMEOUT_S` when missing) and what stands before it: on an event
    loop, call this in a thread (`asyncio.to_thread`).
    """
    asked = FunctionCall(path, arguments, named or {}, folders)
    return _way.runner(asked, TIMEOUT_S if timeout_s is None else timeout_s)


def run_by(runner: Runner) -> None:
    """Have functions called by another one than a thread of this process, from now on."""
    _way.runner = runner


def call_here(asked: FunctionCall) -> FunctionResult | Broken:
    """Call a function on this thread."""
    try:
        value = load(asked.path, folders=asked.folders)(*asked.arguments, **asked.named)
        return FunctionResult(asyncio.run(value) if inspect.iscoroutine(value) else value)
    except UserError as error:
        return Broken(str(error))
    except BaseException as error:  # a user's function may raise anything, SystemExit too
        return Broken(f"{asked.path} raised {type(error).__name__}: {error}")


def _on_a_thread(asked: FunctionCall, limit_s: float) -> FunctionResult | Broken:
    if not _SLOTS.acquire(timeout=TIMEOUT_S):
        return Broken(f"{asked.path}: not called, because too many functions of the user's hang")
    box: list[FunctionResult | Broken] = []

    def fill() -> None:
        try:
            box.append(call_here(asked))
        finally:
            _SLOTS.release()

    thread = threading.Thread(target=fill, name=f"user:{asked.path}", daemon=True)
    thread.start()
    thread.join(limit_s)
    return box[0] if box else Broken(f"{asked.path} did not return within {limit_s:g} s")


@dataclass
class _Way:
    runner: Runner


_way = _Way(_on_a_thread)
