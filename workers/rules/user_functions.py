"""Calls of a user's own functions: bounded in time and number, and their errors are data."""

import asyncio
import inspect
import threading
from collections.abc import Mapping
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


def call(
    path: str,
    *arguments: object,
    named: Mapping[str, object] | None = None,
    folders: tuple[Path, ...] = (),
    timeout_s: float | None = None,
) -> FunctionResult | Broken:
    """Call the function named `module:function` with `arguments` and `named` ones on a thread of its own; never raises.

    The calling thread waits, at most twice `timeout_s` (`TIMEOUT_S` when missing): on an event loop, call this in a
    thread (`asyncio.to_thread`).
    """
    limit_s = TIMEOUT_S if timeout_s is None else timeout_s
    if not _SLOTS.acquire(timeout=TIMEOUT_S):
        return Broken(f"{path}: not called, because too many functions of the user's hang")
    box: list[FunctionResult | Broken] = []
    given = (box, path, arguments, named or {}, folders)
    thread = threading.Thread(target=_fill, args=given, name=f"user:{path}", daemon=True)
    thread.start()
    thread.join(limit_s)
    return box[0] if box else Broken(f"{path} did not return within {limit_s:g} s")


def _fill(
    box: list[FunctionResult | Broken],
    path: str,
    arguments: tuple[object, ...],
    named: Mapping[str, object],
    folders: tuple[Path, ...],
) -> None:
    try:
        value = load(path, folders=folders)(*arguments, **named)
        box.append(FunctionResult(asyncio.run(value) if inspect.iscoroutine(value) else value))
    except UserError as error:
        box.append(Broken(str(error)))
    except BaseException as error:  # a user's function may raise anything, SystemExit too
        box.append(Broken(f"{path} raised {type(error).__name__}: {error}"))
    finally:
        _SLOTS.release()
