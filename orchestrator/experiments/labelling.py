"""Labels for a calibration: the top tier is asked what a step was asked, one job for each lot of items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstline.orchestrator import api
from firstline.orchestrator.experiments.jury import Jury
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.quality.calibration.labels import Answer, Pair, Truth, is_loss
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.job import ItemState
from firstline.schemas.plan import Plan, PlannedStep
from firstline.workers.rules.json_paths import MISSING, Absent


@dataclass(frozen=True)
class Row:
    """One item of the sample as a model answered it: its input, what the step was shown, and the answer."""

    item_id: str
    item: JsonObject
    inputs: JsonObject
    answer: Answer


@dataclass
class Labelling:
    """Buys the top tier's answers for one step, each question once whichever model's answer it is to judge."""

    trials: Trials
    plan: Plan
    planned: PlannedStep
    #: Name of the tier that is asked, and of its model.
    tier: str
    truth: Truth
    jury: Jury | None = None
    _answers: dict[str, Json | Absent] = field(default_factory=dict)

    def free(self, row: Row) -> bool | None:
        """Say whether accepting an answer is a loss where that is known without asking anybody; None: it is not."""
        if row.answer.value is MISSING:
            return False
        if self.truth.quality is None:
            return None
        score = self.truth.score(row.answer.value, row.item)
        return False if score is not None and score >= 1 else None

    def buy(self, rows: Sequence[Row]) -> list[bool]:
        """Return which of these answers were lost: wrong where the top tier, shown the same, is right.

        Where the top tier has no answer to give, nothing is lost by the cheap one.
        """
        asked = {self._key(row): row for row in rows if self._key(row) not in self._answers}
        if asked:
            self._answers |= self._ask(asked)
        if self.jury is not None:
            self.jury.settle(
                self.truth, ((row.inputs, row.answer.value, self._answers[self._key(row)]) for row in rows)
            )
        return [self._is_lost(row) for row in rows]

    def _is_lost(self, row: Row) -> bool:
        pair = Pair(row.item_id, row.item, row.answer, Answer(self._answers[self._key(row)]))
        return bool(is_loss(pair, self.truth))

    @staticmethod
    def _key(row: Row) -> str:
        return digest(row.inputs)

    def _ask(self, asked: Mapping[str, Row]) -> dict[str, Json | Absent]:
        skill = self.plan.skills[self.planned.step.skill or ""]
        workflow = one_step(self.planned.step.name, skill, self.plan.tools)
        items = [InputItem(key, row.inputs) for key, row in asked.items()]
        job = self.trials.run(workflow, items, tier=self.tier, title=f"labels for {self.planned.step.name}: ")
        settled = ItemState.SETTLED
        return {one.item_id: one.output if one.status is settled else MISSING for one in api.results(job)}
