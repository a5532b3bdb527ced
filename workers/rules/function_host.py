"""A process that calls a user's functions for a worker: a line of JSON in, a line of JSON out, until its input ends."""

import os
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pydantic_core import from_json, to_json

from firstline.workers.rules.json_text import as_json
from firstline.workers.rules.user_functions import Broken, FunctionCall, call_here

#: Seconds between two looks at whether the worker lives.
_LOOK_S = 1.0


def main() -> None:
    """Answer until the worker has no more to ask; what functions print goes where its own errors go.

    The argument: bytes that a function may take, with all that it has loaded.
    """
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    for kind, value in ((resource.RLIMIT_AS, int(sys.argv[1])), (resource.RLIMIT_CORE, 0)):
        # macOS refuses RLIMIT_AS.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
    answers.write(b"{}\n")
    for line in sys.stdin.buffer:
        _answer(line, answers)
    os._exit(0)


def _answer(line: bytes, answers: BinaryIO) -> None:
    told = from_json(line)
    asked = FunctionCall(**told | {"folders": tuple(map(Path, told["folders"]))})
    said = call_here(asked)
    try:
        answer = {"broken": said.reason} if isinstance(said, Broken) else {"value": as_json(said.value)}
    except ValueError as error:
        answer = {"broken": f"{asked.path}: {error}"}
    sys.stdout.flush()
    answers.write(to_json(answer) + b"\n")


def _end_without(worker: int) -> None:
    """End this process when the worker's is gone, whatever the function does."""
    while os.getppid() == worker:
        time.sleep(_LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    main()
