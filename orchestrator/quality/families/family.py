"""A family as everybody sees it: its state, what it costs, what it saves, and why."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import RowMapping

from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.errors import UserError


class FamilyState(StrEnum):
    """Who answers a family's requests."""

    #: The top model; cheaper ones are asked too, off the critical path.
    SHADOW = "shadow"
    #: The ladder, cheapest first.
    SERVED = "served"
    #: The top model, for ever: nothing can be certified.
    STRAIGHT = "straight"


class FamilyChoice(StrEnum):
    """What its owner said of a family."""

    AUTO = "auto"
    #: The top model answers, whatever could be certified.
    PINNED = "pinned"
    #: The top model answers, and no request is kept.
    EXCLUDED = "excluded"


#: Comparators that an owner may name.
NAMEABLE = ("exact", "number", "set_f1")


class Family(Frozen):
    """Requests of one prompt and one form of answer."""

    id: str
    tenant: str
    prompt: str
    shape: str
    model: str
    profile: str
    response_format: JsonObject | None
    params: JsonObject
    state: FamilyState
    why: str
    straight: str | None
    choice: FamilyChoice
    compare: str | None
    max_loss: float
    merged_into: str | None
    requests: int
    top_calls: int
    top_usd: float
    served: int
    served_usd: float
    shadow_usd: float
    looked: int
    created_at: datetime
    seen_at: datetime

    @property
    def name(self) -> str:
        """Its name as a skill and a workflow."""
        return f"family_{self.id}"

    @property
    def is_served(self) -> bool:
        """Whether its ladder answers."""
        return self.state is FamilyState.SERVED and self.choice is FamilyChoice.AUTO

    @property
    def spent_usd(self) -> float:
        """What it has cost in all."""
        return self.top_usd + self.served_usd + self.shadow_usd

    @property
    def saved_usd(self) -> float | None:
        """What the top model alone would have cost more; None where nothing is known to compare with."""
        if not self.served or not self.top_calls:
            return None
        return self.served * self.top_usd / self.top_calls - self.served_usd - self.shadow_usd

    @property
    def why_in_words(self) -> str:
        """Why it stands where it stands."""
        if self.choice is FamilyChoice.AUTO:
            return self.why
        said = "keeps it with the top model" if self.choice is FamilyChoice.PINNED else "has nothing of it kept"
        return f"its owner {said}"


def family_of(row: RowMapping) -> Family:
    """Return a stored family."""
    return Family.model_validate(dict(row))


def refuse_comparator(name: str) -> None:
    """Raise a UserError for a comparator that no family can have."""
    if name not in NAMEABLE:
        raise UserError(f"expected a comparator of {', '.join(NAMEABLE)}, got '{name}'")
