"""A subtask as a worker sees it, and how it ended there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import Batch, Left, Settled, Todo, Work
from firstline.schemas.plan import PlannedStep
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Tier
from firstline.schemas.verdict import Reject
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.tools.base import Place
from firstline.workers.tools.toolbox import Tools


@dataclass(frozen=True, slots=True)
class Subtask:
    """A step for one item."""

    batch: Batch
    work: Work
    planned: PlannedStep
    todo: Todo
    #: What earlier steps answered.
    values: Mapping[str, Json]
    #: Answers of an earlier delivery, already paid for.
    paid: Mapping[str, PaidAnswer]
    #: Tools that skills offer, by skill.
    offered: Mapping[str, Tools | Reject]

    @property
    def skill(self) -> Skill:
        """The skill of its step."""
        return self.batch.skills[self.planned.step.skill or ""]

    @property
    def tools(self) -> Tools | Reject:
        """The tools that its skill offers."""
        return self.offered.get(self.skill.name, {})

    @property
    def place(self) -> Place:
        """Where its tools live."""
        return place_of(self.batch)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the user's own functions."""
        return self.place.functions

    @property
    def tier(self) -> Tier:
        """Its batch's tier with those of its models whose answers may be accepted; all where none may."""
        tier = self.batch.tier
        able = [model.name for model in tier.models if self.planned.may_accept(tier.name, model.name)]
        return tier.only(*able) if able else tier

    @property
    def is_weighed(self) -> bool:
        """Whether the confidence of an answer may count on this tier."""
        return self.batch.tier.name in self.planned.thresholds or self.planned.policy.min_confidence is not None

    @property
    def struck(self) -> Struck:
        """Whom a fault strikes that comes of it."""
        return Struck(self.batch.tenant, self.batch.job, f"{self.work.item}:{self.todo.step}")

    def paid_for(self, n: int) -> PaidAnswer | None:
        """Return the answer of attempt `n` that an earlier delivery got."""
        return self.paid.get(f"{self.work.item}:{self.todo.step}:{n}") if self.paid else None


def place_of(batch: Batch) -> Place:
    """Return where a batch's tools live."""
    return Place(functions=tuple(Path(folder) for folder in batch.folders))


@dataclass(frozen=True, slots=True)
class Outcome:
    """All attempts in order, and how the subtask ended here."""

    attempts: tuple[Attempt, ...]
    end: Settled | Left
