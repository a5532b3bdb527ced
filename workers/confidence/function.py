"""A user's own measure of confidence."""

import math

from firstline.schemas.policy import Signal
from firstline.workers.confidence.checked_answer import CheckedAnswer
from firstline.workers.rules.user_functions import FunctionResult, call


def by_function(signal: Signal, answered: CheckedAnswer) -> float | None:
    """Return what the function says of (answer, item); None when it breaks or says no number.

    Blocks while the function runs: keep it off an event loop.
    """
    match call(signal.path or "", answered.value, answered.item, folders=answered.folders):
        case FunctionResult(int() | float() as said) if not math.isnan(said):
            return float(said)
        case _:
            return None
