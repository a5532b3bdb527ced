"""What a cheaper model's answers to recorded requests are worth beside the top model's: a threshold, or why none."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.orchestrator.quality.calibration.command import calibrate_scores, explain
from firstline.orchestrator.quality.calibration.labels import NO_CONFIDENCE, Answer, Pair, Truth, is_loss, main_signal
from firstline.orchestrator.quality.calibration.scores import Score, scores_of
from firstline.orchestrator.quality.calibration.shares import delta_of_look, loss_of
from firstline.orchestrator.quality.calibration.threshold import Calibration
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.schemas.base import Frozen, Json
from firstline.schemas.errors import UserError
from firstline.schemas.policy import Confidence
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_paths import MISSING, Absent

#: Chance of error over all of a family's certificates.
DELTA = 0.1


class SampleAnswer(Frozen):
    """What a model said to a recorded request; no value: nothing that passed its checks."""

    model: str
    has_value: bool
    value: Json = None
    confidence: float | None = None
    signal: str | None = None
    usd: float | None = None


@dataclass(frozen=True)
class Compared:
    """One recorded request: what the top model answered, and what a cheaper one did."""

    id: str
    top: Json | Absent
    said: SampleAnswer


@dataclass(frozen=True)
class Certified:
    """What came of a look at one model's answers."""

    model: str
    signal: str | None
    #: None: there was nothing to calibrate.
    calibration: Calibration | None
    said: str
    #: Dollars that one answer takes; None: not known.
    usd: float | None

    @property
    def served_share(self) -> float:
        """Part of the requests that the model answers by itself."""
        known = self.calibration
        return 0.0 if known is None or known.threshold is None else 1 - known.expected_frontier_share


def sample_answer(row: RowMapping) -> SampleAnswer:
    """Return what an attempt came to."""
    sure = row["confidence"]
    return SampleAnswer(
        model=row["model"],
        has_value=row["verdict"] == "accept",
        value=row["value"],
        confidence=float(sure) if isinstance(sure, int | float) else None,
        signal=row["signal"],
        usd=row["cost_usd"],
    )


def certify(skill: Skill, rows: Sequence[Compared], *, max_loss: float, tiers: int, look: int) -> Certified:
    """Seek the threshold from which on a model's answers may stand for the top model's.

    `max_loss` is that of the whole ladder, of which the model is one of so many `tiers`; all rows are labelled.
    """
    truth = Truth(fields=comparators_of(skill))
    answers = [Answer(_value(row.said), row.said.model, _confidence(row.said)) for row in rows]
    costs = [row.said.usd for row in rows if row.said.usd is not None]
    blank = Certified(
        rows[0].said.model, main_signal(answers), None, "no signal had a value for any answer",
        sum(costs) / len(costs) if costs else None,
    )  # fmt: skip
    if blank.signal is None:
        return blank
    scores = []
    for row, answer in zip(rows, answers, strict=True):
        known = answer.confidence
        has_value = answer.value is not MISSING and known is not None and known.signal == blank.signal
        lost = is_loss(Pair(row.id, {}, answer, Answer(row.top)), truth) if has_value else False
        sure = known.value if has_value and known is not None else NO_CONFIDENCE
        scores.append(Score(id=row.id, confidence=sure, cheap_correct=not lost))
    borne = loss_of(max_loss, tiers)
    delta = delta_of_look(DELTA / tiers, look)
    try:
        labelled = scores_of(scores)
        found = calibrate_scores(labelled, max_loss=borne, delta=delta)
    except UserError as error:
        return Certified(blank.model, blank.signal, None, str(error), blank.usd)
    threshold = None if found.threshold is None else max(0.0, found.threshold)
    done = found.evolve(threshold=threshold)
    return Certified(blank.model, blank.signal, done, explain(done, max_loss=borne, scores=labelled), blank.usd)


def _value(said: SampleAnswer) -> Json | Absent:
    return said.value if said.has_value else MISSING


def _confidence(said: SampleAnswer) -> Confidence | None:
    if said.confidence is None or said.signal is None:
        return None
    return Confidence(signal=said.signal, value=said.confidence)


def calibration_row(
    skill: Skill, found: Certified, *, tenant: str, frontier_model: str, max_loss: float, tiers: int, look: int,
    question: str,
) -> CalibrationRow:  # fmt: skip
    """Return a certificate as calibrations are stored: jobs that are submitted from then on use it."""
    assert found.calibration is not None
    return CalibrationRow(
        tenant=tenant,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        cheap_model=found.model,
        frontier_model=frontier_model,
        signal=found.signal or "",
        max_loss=max_loss,
        look=look,
        question=question,
        created_at=now(),
        **(found.calibration.model_dump() | {"delta": DELTA / tiers}),
    )
