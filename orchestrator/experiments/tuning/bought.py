"""Answers bought as the choosing asks for them: jobs on one tier alone, each answer once.

A candidate is a tier, or a tier whose prompt for one step shows some of the top tier's answers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from sqlalchemy import RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.experiments.jury import AnswerPair, Jury
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.experiments.tuning.answers import Answers, Bools, Floats, Ints
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE, Answer, Pair, Truth, is_loss
from firstline.orchestrator.store import views
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, digest
from firstline.schemas.errors import UserError
from firstline.schemas.plan import PlannedStep, Workflow
from firstline.schemas.policy import Confidence
from firstline.schemas.skill import Example, Skill
from firstline.workers.rules.data_fence import as_text
from firstline.workers.rules.json_paths import MISSING, dig
from firstline.workers.rules.step_inputs import Unfit, inputs_of

#: Labels that are bought in one job.
TOGETHER = 40
#: Characters of all the examples that a prompt shows.
MOST_CHARS = 6000


@dataclass(frozen=True)
class Cell:
    """One tier's answer to one step on one row, and its dollars."""

    answer: Answer = field(default_factory=lambda: Answer(MISSING))
    cost_usd: float = 0.0
    confidence_usd: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A tier that is asked with another prompt for one step."""

    tier: str
    workflow: Workflow
    examples: tuple[Example, ...]


@dataclass
class Purse:
    """Buys answers to all steps of a workflow, one candidate at a time."""

    trials: Trials
    workflow: Workflow
    items: Sequence[InputItem]
    #: Most rows that the top tier answers.
    labels: int
    top: str
    #: Candidates that are no tiers as they stand.
    variants: dict[str, Variant] = field(default_factory=dict)
    #: (candidate, row) -> step -> cell.
    _cells: dict[tuple[str, int], Mapping[str, Cell]] = field(default_factory=dict)

    def tier_of(self, candidate: str) -> str:
        """Return the tier that answers for a candidate."""
        return self.variants[candidate].tier if candidate in self.variants else candidate

    def shown_to(self, candidate: str) -> tuple[Example, ...]:
        """Return the examples that are added to a candidate's prompt."""
        return self.variants[candidate].examples if candidate in self.variants else ()

    def buy(self, candidate: str, rows: Iterable[int]) -> None:
        """Have a candidate answer those of the rows that it has not answered."""
        wanted = [row for row in dict.fromkeys(rows) if (candidate, row) not in self._cells]
        if not wanted:
            return
        asked = {self.items[row].item_id: row for row in wanted}
        workflow = self.variants[candidate].workflow if candidate in self.variants else self.workflow
        items, tier = [self.items[row] for row in wanted], self.tier_of(candidate)
        job = self.trials.run(workflow, items, tier=tier, title=f"{candidate}: ")
        found = {(candidate, row): dict[str, Cell]() for row in wanted}
        with api.engine().db.reading() as tx:
            for attempt in views.all_calls(tx, job=job):
                row = asked[attempt["item_id"]]
                steps = found[candidate, row]
                steps[attempt["step"]] = _with(steps.get(attempt["step"], Cell()), attempt)
        self._cells |= found

    def cell(self, candidate: str, row: int, step: str) -> Cell:
        """Return what a candidate came to on a row that it was asked."""
        return self._cells[candidate, row].get(step, Cell())

    def answered(self, candidate: str, row: int) -> dict[str, Json]:
        """Return a candidate's accepted answers to a row that it was asked, by step."""
        found: dict[str, Json] = {}
        for step, cell in self._cells[candidate, row].items():
            if cell.answer.value is not MISSING:
                found[step] = cell.answer.value
        return found

    def has(self, candidate: str, row: int) -> bool:
        """Whether a candidate was asked about a row."""
        return (candidate, row) in self._cells

    @property
    def labelled(self) -> int:
        """Rows that the top tier answered."""
        return sum(candidate == self.top for candidate, _ in self._cells)

    def mean_usd(self, candidate: str, step: str) -> float:
        """Return a candidate's mean dollars of one answer to a step."""
        costs = [cell.cost_usd for cell in self._column(candidate, step)]
        return sum(costs) / len(costs) if costs else 0.0

    def signal(self, candidate: str, step: str) -> str | None:
        """Return the signal that most of a candidate's answers to a step have a value of."""
        cells = self._column(candidate, step)
        named = Counter(cell.answer.confidence.signal for cell in cells if cell.answer.confidence is not None)
        return max(named, key=lambda name: named[name], default=None)

    def _column(self, candidate: str, step: str) -> list[Cell]:
        return [steps.get(step, Cell()) for (asked, _), steps in self._cells.items() if asked == candidate]

    @property
    def spent_usd(self) -> float:
        """Dollars of everything."""
        return self.trials.spent_usd


def takes_examples(skill: Skill) -> bool:
    """Say whether a prompt of the skill may show further worked examples."""
    return not skill.tools and skill.conversation is None


def _with(cell: Cell, attempt: RowMapping) -> Cell:
    """Return a cell after one more call: the last answer stands, and each call is paid."""
    usd = attempt["cost_usd"]
    if usd is None and attempt["verdict"] != "fault":
        raise UserError(
            f"{attempt['model']} has no price, so nobody can say what it saves; give it a `price:` in the profile"
        )
    if attempt["purpose"] in ("sample", "verify"):
        return Cell(cell.answer, cell.cost_usd, cell.confidence_usd + (usd or 0.0))
    answer = cell.answer
    if attempt["purpose"] == "answer":
        sure = attempt["confidence"]
        known = Confidence(signal=str(attempt["signal"]), value=float(sure)) if sure is not None else None
        answer = Answer(attempt["value"] if attempt["verdict"] == "accept" else MISSING, str(attempt["model"]), known)
    return Cell(answer, cell.cost_usd + (usd or 0.0), cell.confidence_usd)


@dataclass
class StepSource:
    """One step's answers, for the choosing."""

    purse: Purse
    planned: PlannedStep
    skill: Skill
    truth: Truth
    candidates: Sequence[str]
    #: Most of the top tier's answers that a prompt shows.
    shows: int = 0
    jury: Jury | None = None
    _ahead: list[int] = field(default_factory=list)

    @property
    def step(self) -> str:
        """Name of the step."""
        return self.planned.step.name

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.purse.items)

    def with_examples(self, candidate: str, rows: Ints) -> str | None:
        """Return the name of the tier with the top tier's answers to these rows in its prompt for the step."""
        made = [one for row in rows if (one := self._example(int(row))) is not None]
        within = list(accumulate(len(as_text(one.input)) + len(as_text(one.output)) for one in made))
        examples = tuple(one for one, chars in zip(made, within, strict=True) if chars <= MOST_CHARS)
        if not examples:
            return None
        name = f"{candidate}, {len(examples)} examples for {self.step}"
        skills = tuple(
            one.evolve(examples=(*one.examples, *examples)) if one.name == self.skill.name else one
            for one in self.purse.workflow.skills
        )
        self.purse.variants[name] = Variant(candidate, self.purse.workflow.evolve(skills=skills), examples)
        return name

    def _example(self, row: int) -> Example | None:
        """Return what the top tier said to a row as a worked example; None where it said nothing that counts."""
        said = self.purse.answered(self.purse.top, row)
        inputs = inputs_of(self.planned.step, self.skill, self.purse.items[row].input, said)
        if isinstance(inputs, Unfit) or self.step not in said:
            return None
        return Example(input=inputs, output=said[self.step])

    def answers(self, candidate: str, rows: Ints) -> Answers:
        """Have a candidate answer rows, and return its answers to this step."""
        self.purse.buy(candidate, map(int, rows))
        cells = [self.purse.cell(candidate, int(row), self.step) for row in rows]
        return Answers(
            confidence=np.array([_confidence(cell.answer) for cell in cells], dtype=np.float64),
            alike=np.array([self._number(cell.answer) for cell in cells], dtype=np.int64),
            cost_usd=np.array([cell.cost_usd for cell in cells], dtype=np.float64),
            confidence_usd=np.array([cell.confidence_usd for cell in cells], dtype=np.float64),
        )

    def label(self, rows: Ints) -> Floats:
        """Have the top tier answer rows; with one that is missing the next ones are bought, as far as labels go."""
        wanted = [int(row) for row in rows]
        missing = [row for row in wanted if not self.purse.has(self.purse.top, row)]
        if len(missing) == 1:
            ahead = [row for row in self._ahead if not self.purse.has(self.purse.top, row)]
            room = min(TOGETHER, self.purse.labels - self.purse.labelled) - 1
            missing += [row for row in ahead if row != missing[0]][: max(0, room)]
        self.purse.buy(self.purse.top, missing)
        return np.array([self.purse.cell(self.purse.top, row, self.step).cost_usd for row in wanted], dtype=np.float64)

    @property
    def labelled(self) -> int:
        """How many rows the top tier has answered."""
        return self.purse.labelled

    def expect(self, rows: Ints) -> None:
        """Keep in mind which rows will be labelled next."""
        self._ahead = [int(row) for row in rows]

    def lost(self, candidate: str, rows: Ints) -> Bools:
        """Say on which rows taking the candidate's answer loses; where nobody can tell it counts as lost."""
        if self.jury is not None:
            self.jury.settle(self.truth, (self._asked(candidate, int(row)) for row in rows))
        return np.array([self._is_lost(candidate, int(row)) for row in rows], dtype=np.bool_)

    def _asked(self, candidate: str, row: int) -> AnswerPair:
        cheap, top = (self.purse.cell(tier, row, self.step).answer.value for tier in (candidate, self.purse.top))
        return self.purse.items[row].input, cheap, top

    def _is_lost(self, candidate: str, row: int) -> bool:
        item = self.purse.items[row]
        cheap, top = (self.purse.cell(tier, row, self.step).answer for tier in (candidate, self.purse.top))
        if cheap.value is MISSING:
            # It climbs, whatever its confidence.
            return False
        return is_loss(Pair(item.item_id, item.input, cheap, top), self.truth) is not False

    def _number(self, answer: Answer) -> int:
        value = answer.value
        part = dig(value, self.truth.field) if self.truth.field and value is not MISSING else value
        return -1 if part is MISSING else int(digest(part, length=12), 16)


def _confidence(answer: Answer) -> float:
    if answer.value is MISSING:
        return -np.inf
    return NO_CONFIDENCE if answer.confidence is None else answer.confidence.value
