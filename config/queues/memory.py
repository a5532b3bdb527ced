"""Memory that large messages leave behind: given back to the system, and looked for when a process has grown.

The garbage collector counts objects, not bytes: a few hundred of them may hold a hundred items of 4 MB for minutes (an
exception that Celery keeps with its frames, a response and its stream that know each other).
"""

import ctypes
import gc
import os
import threading
from contextlib import suppress

#: Pieces of so many bytes are mapped each by itself, and are the system's again when they are freed. Left alone, the C
#: library learns from large pieces that were freed to keep the next ones on its heaps, one for some threads each.
_LARGE = 1 << 20
#: mallopt's names (malloc.h), and what may stay free at the end of a heap.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_SPARE = 8 << 20
#: Garbage is looked for when a process has grown by so many bytes since it was last looked for.
GROWN = 64 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Have large pieces of memory go back to the system when they are freed; where that cannot be said, nothing is."""
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _SPARE)


def leave_alone() -> None:
    """Keep the garbage collector from looking through all that was loaded, again and again: each time stops all."""
    gc.collect()
    gc.freeze()


def resident() -> int:
    """Return the bytes that this process has in memory; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as told:
            return int(told.read().split()[1]) * _PAGE
    except OSError:
        return 0


class Growth:
    """Looks for garbage when the process has grown; call `look` after each message, on any thread."""

    def __init__(self) -> None:
        self._lowest = resident()
        self._lock = threading.Lock()

    def look(self) -> bool:
        """Look for garbage if the process has grown since; return whether it was looked for."""
        now = resident()
        self._lowest = min(self._lowest, now)
        if now - self._lowest < GROWN or not self._lock.acquire(blocking=False):
            return False
        try:
            gc.collect()
            self._lowest = resident()
        finally:
            self._lock.release()
        return True
