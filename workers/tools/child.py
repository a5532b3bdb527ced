"""The child process of an isolated tool call: reads a call from its standard input, answers a result as JSON."""

import os
import resource
import sys
import threading
from contextlib import suppress

from firstline.schemas.tool import ToolLimits
from firstline.workers.tools.isolate import ToolCall
from firstline.workers.tools.registry import bind

#: Later than its parent would have ended it.
_LATE_S = 5.0


def main() -> None:
    """Run one call; the answer has a descriptor of its own, so what the tool prints cannot mix with it."""
    answer = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    call = ToolCall.model_validate_json(sys.stdin.buffer.read())
    _end_without_parent(call.spec.limits)
    _limit(call.spec.limits)
    result = bind(call.spec, call.place, call.options).run(call.arguments)
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(result.model_dump_json().encode())
    # Threads that a user's function has left running must not keep the process alive.
    sys.stderr.flush()
    os._exit(0)


def _end_without_parent(limits: ToolLimits) -> None:
    """End this process some time after its limit: a worker that was killed cannot do it."""
    timer = threading.Timer(limits.timeout_s + _LATE_S, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


def _limit(limits: ToolLimits) -> None:
    wanted = {resource.RLIMIT_AS: limits.memory_bytes, resource.RLIMIT_CORE: 0}
    for kind, value in wanted.items():
        # macOS refuses RLIMIT_AS; time, processes and output are bounded there all the same.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
