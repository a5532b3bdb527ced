"""`firstline calibrate WORKFLOW`: cheap and frontier answer the same sample, and a threshold follows for each skill."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.experiments.sampling import sample
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.quality.calibration.command import calibrate_scores, explain
from firstline.orchestrator.quality.calibration.labels import Answer, Pair, Truth, main_signal, score_pairs, truth_of
from firstline.orchestrator.quality.calibration.scores import scores_of
from firstline.orchestrator.quality.calibration.threshold import Calibration
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import calibrations, views
from firstline.orchestrator.store import items as item_store
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import CalibrationRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen, Json
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Quality, Workflow
from firstline.schemas.policy import Confidence
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from firstline.workers.rules.json_paths import MISSING

PURPOSE = "calibrate"


@dataclass(frozen=True)
class Aim:
    """What is to be certified, and from how many labels."""

    labels: int = 200
    #: None: each skill's own `policy.max_loss`.
    max_loss: float | None = None
    delta: float = 0.1
    seed: int = 0
    #: The tier whose answers are weighed; the lowest of the ladder when missing.
    tier: str | None = None
    #: How answers are compared and with what; the workflow's own quality when missing.
    gold: str | None = None
    field: str | None = None
    compare: str | None = None


class Calibrated(Frozen):
    """What came out for one step's skill."""

    step: str
    skill: str
    skill_version: int
    cheap_model: str
    frontier_model: str
    signal: str | None
    #: Items with a label.
    items: int
    gold: bool
    #: None: no threshold could be sought; `said` tells why.
    calibration: Calibration | None
    said: str


@dataclass(frozen=True)
class _Setting:
    """Everything that is the same for all steps of one calibration."""

    aim: Aim
    workflow: Workflow
    plan: Plan
    profile: Profile
    cheap: str
    frontier: str
    functions: tuple[Path, ...]
    home: Path | None
    #: Whose answers are weighed.
    tenant: str

    @property
    def cheap_model(self) -> str:
        return _first_model(self.profile, self.cheap)

    @property
    def frontier_model(self) -> str:
        return _first_model(self.profile, self.frontier)


def calibrate(order: Order, aim: Aim, view: View, *, record: Path | None = None) -> list[Calibrated]:
    """Run the cheap and the top tier on a random sample, store a threshold for each skill that can have one.

    UserError: no skill has a confidence signal, the input is too small, or the budget is used up (the same command goes
    on with what was answered). From then on `submit` uses the thresholds.
    """
    workflow = _workflow(order, aim)
    cheap, frontier = _tiers(order.profile, aim.tier)
    with order.checked() as usable:
        drawn = sample(usable.items(), aim.labels, seed=aim.seed)
        if len(drawn) < 2:
            raise UserError(f"expected a few hundred different items to draw {aim.labels} from, got {len(drawn)}")
        with crew_for(usable, record) as crew:
            plan = _plan(workflow, crew.profile, cheap)
            tenant = order.request.options.tenant
            setting = _Setting(aim, workflow, plan, crew.profile, cheap, frontier, order.functions, order.home, tenant)
            _refuse_silent(plan)
            trials = Trials(usable, crew, view, PURPOSE)
            answered = [trials.run(workflow, drawn, tier=tier) for tier in (cheap, frontier)]
    return [_conclude(setting, planned, *answered) for planned in plan.steps if planned.step.skill]


def _workflow(order: Order, aim: Aim) -> Workflow:
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill to calibrate, got a goal; name the workflow")
    workflow = workflow.evolve(quality=with_gold(workflow.quality, aim.gold, aim.field, aim.compare))
    return on_its_own(workflow, load_catalogue().parts(workflow).skills, weighed=True)


def with_gold(quality: Quality | None, gold: str | None, field: str | None, compare: str | None) -> Quality | None:
    """Return a workflow's quality with what the command line says of gold laid over it."""
    if gold is None:
        return quality
    base = quality or Quality(gold=gold)
    return base.evolve(gold=gold, field=field or base.field, compare=compare or base.compare)


def _tiers(profile: Profile, chosen: str | None) -> tuple[str, str]:
    names = [tier.name for tier in profile.ladder]
    if len(names) < 2:
        raise UserError(f"profile '{profile.name}' has one tier of models, {names[0]}; there is nothing to escalate to")
    cheap = chosen or names[0]
    if cheap not in names[:-1]:
        raise UserError(f"--tier: expected one of {', '.join(names[:-1])}, got '{cheap}'")
    return cheap, names[-1]


def _plan(workflow: Workflow, profile: Profile, tier: str) -> Plan:
    return compile_plan(
        workflow, catalogue=load_catalogue(), profile=profile, tiers=(tier,), thresholds=lambda skill, name: None
    )


def _refuse_silent(plan: Plan) -> None:
    if not any(skill.confidence for skill in plan.skills.values()):
        names = ", ".join(sorted(plan.skills))
        raise UserError(
            f"no confidence signal to calibrate: {names} declares none; add `confidence:` to the skill, such as "
            "`- kind: mean_logprob` where the provider gives log-probabilities, else agreement or a verifier"
        )


def _conclude(setting: _Setting, planned: PlannedStep, cheap_job: str, frontier_job: str) -> Calibrated:
    """Seek a step's threshold, and store it."""
    skill = setting.plan.skills[planned.step.skill or ""]
    quality, output, folders = setting.workflow.quality, setting.plan.output, setting.functions
    truth = truth_of(quality, planned.step.name, output=output, folders=folders)
    if truth.quality is None and setting.aim.compare:
        truth = Truth(compare=setting.aim.compare, field=setting.aim.field, folders=folders)
    pairs = list(_pairs(setting, planned, cheap_job, frontier_job))
    signal = main_signal(pairs)
    blank = Calibrated(
        step=planned.step.name,
        skill=skill.name,
        skill_version=skill.version,
        cheap_model=setting.cheap_model,
        frontier_model=setting.frontier_model,
        signal=signal,
        items=0,
        gold=truth.quality is not None,
        calibration=None,
        said=_why_silent(skill, setting.cheap_model),
    )
    return blank if signal is None else _sought(setting, blank, skill, truth, pairs, cheap_job)


def _sought(
    setting: _Setting, blank: Calibrated, skill: Skill, truth: Truth, pairs: Sequence[Pair], job: str
) -> Calibrated:
    aim = setting.aim
    max_loss = aim.max_loss if aim.max_loss is not None else skill.policy.max_loss
    scored = score_pairs(pairs, truth, signal=blank.signal or "")
    try:
        found = calibrate_scores(scores_of(scored), max_loss=max_loss, delta=aim.delta)
    except UserError as error:
        return blank.evolve(items=len(scored), said=str(error))
    # A threshold below every value of the signal accepts all that has a value, no more.
    known = found.evolve(threshold=max(0.0, found.threshold)) if found.threshold is not None else found
    done = blank.evolve(items=len(scored), calibration=known, said=explain(known, max_loss=max_loss))
    _store(done, skill, max_loss, job, setting.home, tenant=setting.tenant)
    return done


def _store(done: Calibrated, skill: Skill, max_loss: float, job: str, home: Path | None, *, tenant: str) -> None:
    assert done.calibration is not None
    row = CalibrationRow(
        tenant=tenant,
        skill=done.skill,
        skill_version=done.skill_version,
        skill_digest=skill.digest,
        cheap_model=done.cheap_model,
        frontier_model=done.frontier_model,
        signal=done.signal or "",
        max_loss=max_loss,
        gold=done.gold,
        home=str(home) if home else None,
        job=job,
        created_at=now(),
        **done.calibration.model_dump(),
    )
    with api.engine().db.writing() as tx:
        calibrations.insert(tx, row=row)


def _pairs(setting: _Setting, planned: PlannedStep, cheap_job: str, frontier_job: str) -> Iterator[Pair]:
    """Yield the items that both were asked, by the models in question, the same question.

    A step that reads earlier answers is compared only where those agree: else the two answered different questions.
    """
    step = planned.step
    upstream = [name for name in step.after if name in {other.step.name for other in setting.plan.steps}]
    with api.engine().db.reading() as tx:
        cheap, frontier = (_last_answers(tx, job, step.name) for job in (cheap_job, frontier_job))
        before = [[_values(tx, job, name) for name in upstream] for job in (cheap_job, frontier_job)]
    for item, row in cheap.items():
        other = frontier.get(item)
        same = all(ours.get(item) == theirs.get(item) for ours, theirs in zip(*before, strict=True))
        if other is not None and same and row["model"] == setting.cheap_model:
            yield Pair(row["item_id"], row["input"], _answer(row), _answer(other))


def _last_answers(tx: Connection, job: str, step: str) -> dict[int, RowMapping]:
    return {row["item"]: row for row in views.answers(tx, job=job, step=step)}


def _values(tx: Connection, job: str, step: str) -> dict[int, Json]:
    return {item: value for item, _, value in item_store.outputs(tx, job=job, step=step)}


def _answer(row: RowMapping) -> Answer:
    sure = row["confidence"]
    known = Confidence(signal=str(row["signal"]), value=float(sure)) if isinstance(sure, int | float) else None
    return Answer(row["value"] if row["verdict"] == "accept" else MISSING, str(row["model"]), known)


def _first_model(profile: Profile, tier: str) -> str:
    found = profile.tier(tier)
    assert found is not None
    return found.models[0].name


def _why_silent(skill: Skill, model: str) -> str:
    if not skill.confidence:
        return "The skill declares no confidence signal, so its answers are accepted on their checks alone."
    signals = ", ".join(signal.label for signal in skill.confidence)
    return (
        f"None of the skill's signals ({signals}) had a value for any answer of {model}: it may give no "
        "log-probabilities (set `logprobs: true` on the model in the profile if it does), or every answer failed. "
        "Name another signal, such as agreement or a verifier."
    )
