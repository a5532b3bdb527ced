"""Firstline's producer API: `submit`, `watch`, `results`, ...; nothing heavy is loaded until a name is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstline.orchestrator.api import cancel, jobs, report, results, status, submit, watch
    from firstline.schemas.errors import FirstlineError, UserError
    from firstline.schemas.job import JobRequest, Options
    from firstline.schemas.plan import Workflow
    from firstline.schemas.skill import Skill

__all__ = [
    "FirstlineError",
    "JobRequest",
    "Options",
    "Skill",
    "UserError",
    "Workflow",
    "cancel",
    "jobs",
    "report",
    "results",
    "status",
    "submit",
    "watch",
]

#: Where each name comes from.
_HOMES = {
    "FirstlineError": "firstline.schemas.errors",
    "UserError": "firstline.schemas.errors",
    "JobRequest": "firstline.schemas.job",
    "Options": "firstline.schemas.job",
    "Skill": "firstline.schemas.skill",
    "Workflow": "firstline.schemas.plan",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOMES.get(name, "firstline.orchestrator.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
