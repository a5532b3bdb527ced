"""The process that outlives an embedded run: when the run is gone, however it went, its children are stopped."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

#: Seconds between SIGTERM and SIGKILL for children whose run was killed.
GRACE_S = 10.0
_POLL_S = 0.05


def main() -> None:
    """Read `+GROUP` and `-GROUP` from the run until its end of the pipe closes, then stop the groups that are left.

    A pipe closes even when the run is killed with SIGKILL, on every system, which neither an exit handler nor
    Linux's parent-death signal (it follows a thread, not a process) can promise. The guard also inherits the run's
    state lock, so that the next run does not begin before the last one's children are gone.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    stop_groups(groups, grace_s=GRACE_S)


def stop_groups(groups: Iterable[int], *, grace_s: float, alive: Callable[[int], bool] | None = None) -> None:
    """Stop process groups: SIGTERM to all, and SIGKILL to those that still live after `grace_s` seconds.

    `alive` tells whether a group still has work to end; a parent passes one that reaps its children.
    """
    left = set(groups)
    lives = alive or group_exists
    for group in left:
        signal_group(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while (left := {group for group in left if lives(group)}) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; nothing happens when it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def group_exists(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
