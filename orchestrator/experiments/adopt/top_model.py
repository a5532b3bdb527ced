"""Which ladder recorded calls are weighed against, and which of them its top model answered."""

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator.experiments.adopt.recorded_calls import ReadLogs
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Profile


def profile_below(named: str | None, top: str | None) -> Profile:
    """Return the profile that was named, else one whose top model it is, else the deployment's own.

    UserError: no profile has that top model, or there is no tier below it.
    """
    catalogue = load_catalogue()
    own = catalogue.profile(named or get_settings().profile)
    able = [own] if named is not None or top is None else [own, *catalogue.profiles]
    found = next((one for one in able if top is None or _is_named(one.ladder[-1].models[0].name, top)), None)
    if found is None:
        tops = ", ".join(sorted({one.ladder[-1].models[0].name for one in able}))
        raise UserError(f"--top: no profile has '{top}' as its top model, got {tops}; name one by --profile")
    if len(found.ladder) < 2:
        raise UserError(f"profile '{found.name}' has one tier of models; there is nothing cheaper to move calls to")
    return found


def answered_by(logs: ReadLogs, top: str | None) -> ReadLogs:
    """Return the calls that a model answered, dated versions of it among them; UserError where there is none."""
    if top is None:
        return logs
    mine = [call for call in logs.calls if _is_named(call.model, top)]
    if not mine:
        models = ", ".join(sorted({call.model or "unknown" for call in logs.calls})[:8])
        raise UserError(f"--top: no recorded call was answered by '{top}', but by {models}")
    others = len(logs.calls) - len(mine)
    if others:
        logs.left_out[f"answered by another model than {top}"] += others
    return ReadLogs(mine, logs.left_out)


def _is_named(name: str, asked: str) -> bool:
    bare, wanted = name.rpartition("/")[2], asked.rpartition("/")[2]
    return bare == wanted or bare.startswith(f"{wanted}-20")
