"""A user's function passes the answer."""

from firstline.schemas.base import Json
from firstline.schemas.check import Executable
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief
from firstline.workers.rules.user_functions import Broken, FunctionResult, call


def reason(spec: Executable, value: Json, subject: Subject) -> str | None:
    """Say what the function said: a text is a reason, False fails without one, True and None pass."""
    match call(spec.path, value, subject.item, folders=subject.folders):
        case Broken(reason):
            return reason
        case FunctionResult(True | None):
            return None
        case FunctionResult(str() as said):
            return said or None
        case FunctionResult(False):
            return f"{spec.path} did not pass it"
        case FunctionResult(other):
            return f"{spec.path}: expected True, False, None or a reason, got {brief(other, 60)}"
