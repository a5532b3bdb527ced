"""An answer whose confidence is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.providers.gateway import Message, Reply


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer that passed its checks, and all that a signal may look at."""

    skill: Skill
    #: The messages that led to it, and the inputs in them.
    messages: tuple[Message, ...]
    inputs: JsonObject
    reply: Reply
    value: Json
    #: The item's fields, for a user's function.
    item: JsonObject = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
