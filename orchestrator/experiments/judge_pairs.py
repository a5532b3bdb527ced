"""`firstline judge`: pairs of answers for a person to label, and how often the judge is wrong about labelled ones."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.experiments.jury import Jury, known_judge
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.quality.judge.error import PAIRS_WANTED, JudgeError
from firstline.orchestrator.quality.judge.questions import JUDGE, Question
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import audits, judge_errors
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import JudgeErrorRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill


class LabelledPair(Frozen):
    """Two answers to one task, and a person's word on whether they come to the same."""

    input: JsonObject
    one: Json
    other: Json
    #: None: not labelled yet.
    same: bool | None = None


class MeasuredJudge(Frozen):
    """How often a judge was wrong about labelled pairs."""

    skill: str
    model: str
    error: JudgeError
    #: Pairs that need no judge: another field differs, or the texts are equal.
    settled: int
    said: str
    cost_usd: float


def judged_skill(order: Order, name: str | None) -> Skill:
    """Return the skill of an order whose prose is judged; UserError: none, or several and no name."""
    workflow = order.request.workflow
    skills = load_catalogue().parts(workflow).skills if isinstance(workflow, Workflow) else {}
    able = [one for one in skills.values() if _truth(one, order).has_judge and name in (None, one.name)]
    if len(able) == 1:
        return able[0]
    if able:
        raise UserError(f"several skills have prose that is judged; name one with --skill: {', '.join(skills)}")
    raise UserError(
        f"no field of {', '.join(sorted(skills)) or 'a goal'} is left to a judge; declare `compare: judge` in the skill"
    )


def draw_pairs(order: Order, skill: Skill, count: int, *, seed: int) -> list[LabelledPair]:
    """Return pairs at random from the audits that went to the judge, the answers in either order, to be labelled."""
    tenant = order.request.options.tenant
    with api.engine().db.reading() as tx:
        rows = audits.judged(tx, tenant=tenant, skill_digest=skill.digest)
    rng = random.Random(seed)
    drawn = rng.sample(rows, min(count, len(rows)))
    if not drawn:
        raise UserError(
            f"no audits of '{skill.name}' as it is now went to its judge yet; run it with `audit_share` in its policy, "
            "or write the pairs yourself: a line each with input, one, other, same"
        )
    sides = [(row["value"], row["right"]) if rng.random() < 0.5 else (row["right"], row["value"]) for row in drawn]
    return [
        LabelledPair(input=row["input"], one=one, other=other) for row, (one, other) in zip(drawn, sides, strict=True)
    ]


def write_pairs(pairs: Iterable[LabelledPair], file: Path) -> None:
    """Write pairs as JSON Lines; `same` is null where a person is to say true or false."""
    try:
        file.write_text("".join(f"{pair.model_dump_json()}\n" for pair in pairs), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); check the folder") from None


def read_pairs(file: Path) -> list[LabelledPair]:
    """Return labelled pairs from JSON Lines; UserError with the line at fault, or where one is not labelled."""
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"expected labelled pairs at {file}, but it cannot be read: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(LabelledPair.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{file.name}, line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        except ValueError as error:
            raise UserError(f"{file.name}, line {number}: expected a JSON object, but: {error}") from None
        if found[-1].same is None:
            raise UserError(f"{file.name}, line {number}: expected `same` to be true or false, got null; label it")
    return found


def measure(order: Order, skill: Skill, pairs: Sequence[LabelledPair], view: View) -> MeasuredJudge:
    """Have the judge look at labelled pairs, count its errors and keep them: all claims use them from now on.

    UserError: no pair needs a judge.
    """
    truth, judge = _truth(skill, order), known_judge(order, skill)
    asked = {}
    for number, pair in enumerate(pairs):
        if found := truth.open_question(pair.one, pair.other):
            asked[f"{number}"] = (Question(f"{number}", pair.input, found), pair.same)
    if not asked:
        raise UserError("none of the pairs needs a judge: their texts are equal, or a closed field differs")
    with crew_for(order) as crew:
        trials = Trials(order, crew, view, JUDGE)
        heard = Jury(trials, skill, judge).hear([question for question, _ in asked.values()])
    words = [(heard[key], same) for key, (_, same) in asked.items()]
    error = JudgeError(
        same=sum(same is True for _, same in words),
        alarms=sum(same is True and not called for called, same in words),
        different=sum(same is False for _, same in words),
        missed=sum(same is False and called for called, same in words),
    )
    _keep(order, skill, judge.model, error)
    return MeasuredJudge(
        skill=skill.name,
        model=judge.model,
        error=error,
        settled=len(pairs) - len(asked),
        said=_said(error),
        cost_usd=trials.spent_usd,
    )


def _keep(order: Order, skill: Skill, model: str, error: JudgeError) -> None:
    row = JudgeErrorRow(
        tenant=order.request.options.tenant,
        skill=skill.name,
        skill_digest=skill.digest,
        model=model,
        at=now(),
        **error.model_dump(),
    )
    with api.engine().db.writing() as tx:
        judge_errors.insert(tx, row=row)


def _said(error: JudgeError) -> str:
    fewest = min(error.same, error.different)
    if fewest >= PAIRS_WANTED:
        return str(error)
    return f"{error}; {PAIRS_WANTED} pairs of either kind would tell more, {fewest} is the fewer"


def _truth(skill: Skill, order: Order) -> Truth:
    return Truth(folders=order.functions, fields=comparators_of(skill))
