"""Names of subtasks that the engine makes: `STEP__refer0` asks about STEP, `STEP__part0_1` is a part of it."""

import re
from functools import lru_cache

from firstline.config.drafts.draft import RESERVED

_NAME = re.compile(rf"(?P<base>.+){RESERVED}(?P<what>refer|part)\d+(_\d+)?")


def referral(step: str, round_: int) -> str:
    """Return the name of the question to the orchestrator model about a step."""
    return f"{step}{RESERVED}refer{round_}"


def part(step: str, round_: int, number: int) -> str:
    """Return the name of a part of a step that was split."""
    return f"{step}{RESERVED}part{round_}_{number}"


@lru_cache(maxsize=4096)
def base_of(name: str) -> str | None:
    """Return the step that a referral or a part belongs to; None for any other subtask."""
    found = _NAME.fullmatch(name)
    return found["base"] if found else None


def is_referral(name: str) -> bool:
    """Whether a subtask is a question to the orchestrator model about another one."""
    found = _NAME.fullmatch(name)
    return found is not None and found["what"] == "refer"
