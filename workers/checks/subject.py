"""What a check looks at."""

from dataclasses import dataclass, field
from pathlib import Path

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill


@dataclass(frozen=True, slots=True)
class Subject:
    """One answer with its surroundings."""

    skill: Skill
    value: Json
    #: The item's fields, with the skill's inputs by field name among them.
    item: JsonObject = field(default_factory=dict)
    folders: tuple[Path, ...] = ()

    def sources(self, name: str | None) -> dict[str, Json]:
        """Return the input field of that name, or all of the skill's input fields; those that are there."""
        names = (name,) if name else tuple(self.skill.input)
        return {name: self.item[name] for name in names if name in self.item}
