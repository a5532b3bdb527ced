"""Firstline from Python: `run`, `map`, `submit`, `watch`, ...; nothing heavy is loaded until a name is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstline.orchestrator.api import (
        approve,
        cancel,
        jobs,
        pause,
        raise_budget,
        report,
        results,
        resume,
        retry,
        status,
        submit,
        watch,
    )
    from firstline.orchestrator.run.rows import Ran, map, run
    from firstline.schemas.errors import FirstlineError, UserError
    from firstline.schemas.job import ItemResult, JobRequest, JobState, JobStatus, Options
    from firstline.schemas.plan import Step, Workflow
    from firstline.schemas.policy import Policy
    from firstline.schemas.skill import Skill
    from firstline.schemas.tier import Profile

#: Name -> the module that it comes from.
_HOMES = {
    **dict.fromkeys(("FirstlineError", "UserError"), "firstline.schemas.errors"),
    **dict.fromkeys(("ItemResult", "JobRequest", "JobState", "JobStatus", "Options"), "firstline.schemas.job"),
    **dict.fromkeys(("Step", "Workflow"), "firstline.schemas.plan"),
    "Policy": "firstline.schemas.policy",
    "Profile": "firstline.schemas.tier",
    "Skill": "firstline.schemas.skill",
    **dict.fromkeys(("Ran", "map", "run"), "firstline.orchestrator.run.rows"),
}
_API = "firstline.orchestrator.api"

__all__ = [
    "FirstlineError",
    "ItemResult",
    "JobRequest",
    "JobState",
    "JobStatus",
    "Options",
    "Policy",
    "Profile",
    "Ran",
    "Skill",
    "Step",
    "UserError",
    "Workflow",
    "approve",
    "cancel",
    "jobs",
    "map",
    "pause",
    "raise_budget",
    "report",
    "results",
    "resume",
    "retry",
    "run",
    "status",
    "submit",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOMES.get(name, _API)), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
