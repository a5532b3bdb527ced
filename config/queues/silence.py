"""How long ago a process of this machine last took a message: what its pulse left behind."""

import time
from collections.abc import Callable

from firstline.config.settings import Settings
from firstline.schemas.errors import UserError

#: Seconds without a pulse after which a process counts as deaf.
DEAF_AFTER_S = 30.0


def silent_s(settings: Settings, *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds since a message came through; None when none ever did. UserError when no file is set."""
    if settings.pulse_file is None:
        raise UserError(
            "FIRSTLINE_PULSE_FILE is not set; expected the file that a worker or orchestrator on this machine was given"
        )
    try:
        return max(clock() - settings.pulse_file.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return None
