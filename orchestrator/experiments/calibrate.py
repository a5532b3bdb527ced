"""`firstline calibrate WORKFLOW`: a sample is answered by every model that could answer, and thresholds follow.

One calibration covers a ladder: each model of each tier below the top one has a threshold of its own, and what all of
them accept together keeps within the loss.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.experiments.calibration_aim import (
    Aim,
    CalibrationResult,
    CalibrationSetting,
    CalibrationSubject,
)
from firstline.orchestrator.experiments.jury import Jury, judged, known_judge, untold
from firstline.orchestrator.experiments.labelling import Labelling, Row
from firstline.orchestrator.experiments.model_tiers import alone, by_model, weighed_tiers
from firstline.orchestrator.experiments.sampling import sample
from firstline.orchestrator.experiments.signal_choice import chosen_signal, signals_of, split
from firstline.orchestrator.experiments.trials import Trials, with_gold
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.plans.thresholds import has_signal, nothing_certified
from firstline.orchestrator.quality.calibration.bounds import Source, fewest_draws
from firstline.orchestrator.quality.calibration.buying import certify
from firstline.orchestrator.quality.calibration.combination import ChosenSignal, labels_to_learn
from firstline.orchestrator.quality.calibration.command import explain
from firstline.orchestrator.quality.calibration.curve import Point, risk_curve
from firstline.orchestrator.quality.calibration.labels import (
    NO_CONFIDENCE,
    Answer,
    Truth,
    main_signal,
    refuse_contradictions,
    step_truth,
)
from firstline.orchestrator.quality.calibration.scores import Score, scores_of
from firstline.orchestrator.quality.calibration.shares import delta_of_look, deltas_of, loss_of
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import calibrations, views
from firstline.orchestrator.store import items as item_store
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Json, digest
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Workflow
from firstline.schemas.policy import Confidence, Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, Tier
from firstline.workers.rules.combined_signal import as_asked
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.policy import start_tier
from firstline.workers.rules.step_inputs import Unfit, inputs_of

PURPOSE = "calibrate"
#: Items drawn for each label where confidence costs no calls of its own: more draws let labels reach further.
DRAWS_PER_LABEL = 4


PURPOSE = "calibrate"
#: Items drawn for each label where confidence costs no calls of its own: more draws let labels reach further.
DRAWS_PER_LABEL = 4


def calibrate(order: Order, aim: Aim, view: View, *, record: Path | None = None) -> list[CalibrationResult]:
    """Run every model that could answer on a random sample, and store a threshold for each skill and model.

    UserError: no skill has a confidence signal, the input is too small, or the budget is used up (the same command goes
    on with what was answered). From then on `submit` uses the thresholds.
    """
    workflow = _workflow(order, aim)
    ladder = order.profile
    tiers = weighed_tiers(ladder, aim.tier)
    plan = _plan(workflow, ladder, order.request.options.tenant)
    _refuse_silent(plan, tiers)
    truths = _truths(workflow, plan, aim, order)
    refused = refused_steps(plan, truths)
    steps = [planned for planned in plan.steps if planned.step.skill]
    subjects = [one for planned in steps for one in _subjects(planned, plan, tiers, ladder, aim)]
    with order.checked() as usable:
        drawn = sample(usable.items(), _draws(plan, aim), seed=aim.seed)
        _refuse_few([one for one in subjects if one.planned.step.name not in refused], truths, len(drawn))
        with crew_for(replace(usable, profile=by_model(ladder)), record) as crew:
            tenant = order.request.options.tenant
            setting = CalibrationSetting(aim, workflow, plan, crew.profile, order.functions, order.home, tenant)
            trials = Trials(usable, crew, view, PURPOSE)
            jobs = {
                name: trials.run(workflow, drawn, tier=name) for name in dict.fromkeys(one.alone for one in subjects)
            }
            labelled: dict[str, Labelling] = {}
            found = []
            for one in subjects:
                step = one.planned.step.name
                truth = truths[step]
                if step in refused:
                    found.append(_blank(setting, one, truth, refused[step]))
                    continue
                jury = Jury(trials, one.skill, known_judge(order, one.skill)) if truth.has_judge else None
                buyer = labelled.setdefault(
                    step, Labelling(trials, plan, one.planned, setting.frontier.name, truth, jury)
                )
                found.append(_certify(setting, one, jobs[one.alone], buyer))
            return found


# What is weighed --------------------------------------------------------------------------------------------------


def _truths(workflow: Workflow, plan: Plan, aim: Aim, order: Order) -> dict[str, Truth]:
    """Return what is right for each step's answers."""
    found = {}
    for planned in plan.steps:
        if planned.step.skill:
            skill = plan.skills[planned.step.skill]
            truth = step_truth(
                plan, planned, workflow.quality, compare=aim.compare, field=aim.field, folders=order.functions
            )
            found[planned.step.name] = judged(order, skill, truth)
    return found


def refused_steps(plan: Plan, truths: Mapping[str, Truth]) -> dict[str, str]:
    """Return why nothing can be certified for some steps; UserError where that holds of all with a signal."""
    able = {name: plan.skills[plan.step(name).step.skill or ""] for name in truths}
    reasons = untold((name, skill, truths[name]) for name, skill in able.items())
    weighed = [name for name, skill in able.items() if skill.confidence] or list(able)
    if all(name in reasons for name in weighed):
        raise UserError(reasons[weighed[0]])
    return reasons


def _workflow(order: Order, aim: Aim) -> Workflow:
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill to calibrate, got a goal; name the workflow")
    workflow = workflow.evolve(quality=with_gold(workflow.quality, aim.gold, aim.field, aim.compare))
    return on_its_own(
        workflow, load_catalogue(tenant=order.request.options.tenant).parts(workflow).skills, weighed=True
    )


def _plan(workflow: Workflow, profile: Profile, tenant: str) -> Plan:
    catalogue = load_catalogue(tenant=tenant)
    return compile_plan(workflow, catalogue=catalogue, profile=profile, tiers=(), certificates=nothing_certified)


def _subjects(
    planned: PlannedStep, plan: Plan, tiers: Sequence[Tier], profile: Profile, aim: Aim
) -> Iterator[CalibrationSubject]:
    """Yield the models that may answer a step, each with its share of the loss and of the chance of error."""
    skill = plan.skills[planned.step.skill or ""]
    names = tuple(tier.name for tier in profile.ladder)
    first = names.index(start_tier(planned.step.reasoning or skill.reasoning, names, planned.policy))
    able = [tier for tier in tiers if names.index(tier.name) >= first and _speaks(skill, tier)]
    borne = aim.max_loss if aim.max_loss is not None else planned.policy.max_loss
    for tier, deltas in zip(able, deltas_of(aim.delta, [len(tier.models) for tier in able]), strict=True):
        for number, (model, delta) in enumerate(zip(tier.models, deltas, strict=True)):
            yield CalibrationSubject(
                planned=planned,
                skill=skill,
                tier=tier.name,
                alone=alone(tier.name, number),
                model=model.name,
                max_loss=loss_of(borne, len(able)),
                delta=delta,
                borne=borne,
            )


def _speaks(skill: Skill, tier: Tier) -> bool:
    """Say whether a signal of the skill can have a value for any model of a tier."""
    return any(has_signal(skill, model) for model in tier.models)


def _refuse_silent(plan: Plan, tiers: Sequence[Tier]) -> None:
    if not any(skill.confidence or any(_speaks(skill, tier) for tier in tiers) for skill in plan.skills.values()):
        names = ", ".join(sorted(plan.skills))
        raise UserError(
            f"no confidence signal to calibrate: {names} declares none; add `confidence:` to the skill, such as "
            "`- kind: mean_logprob` where the provider gives log-probabilities, else agreement or a verifier"
        )


def _draws(plan: Plan, aim: Aim) -> int:
    # Drawing many items for signals that cost calls would cost more than the labels that it saves.
    is_costly = any(signal.is_costly for skill in plan.skills.values() for signal in skill.confidence)
    return aim.labels * (1 if is_costly else DRAWS_PER_LABEL)


def _refuse_few(subjects: Sequence[CalibrationSubject], truths: Mapping[str, Truth], drawn: int) -> None:
    """Raise a UserError before anything is paid where not even right answers alone could certify anything."""
    if drawn < 2:
        raise UserError(f"expected a few hundred different items to draw labels from, got {drawn}")
    targets = [
        truths[one.planned.step.name].through(Target(one.max_loss, delta_of_look(one.delta, 1))) for one in subjects
    ]
    needed = min((fewest_draws(one.max_loss, Source.spent * one.delta) for one in targets), default=0)
    if drawn < needed:
        raise UserError(
            f"{drawn} different items cannot certify a loss of {subjects[0].max_loss:.1%} even if every answer is "
            f"right: it takes {needed}; give more items, a larger --max-loss or --delta, or one --tier alone"
        )


# Certifying -------------------------------------------------------------------------------------------------------


def _certify(
    setting: CalibrationSetting, subject: CalibrationSubject, job: str, labelling: Labelling
) -> CalibrationResult:
    """Seek the threshold of one model's answers, and store it."""
    rows = [row for row in _rows(setting, subject, job) if _has_label(labelling.truth, row)]
    signal = main_signal([row.answer for row in rows])
    blank = _blank(setting, subject, labelling.truth, _why_silent(subject)).evolve(signal=signal, items=len(rows))
    if signal is None:
        return blank
    refuse_contradictions([(row.item_id, row.item) for row in rows], labelling.truth.quality)
    names = signals_of(rows) if len(subject.skill.confidence) > 1 else [signal]
    question = digest([names, setting.aim.labels, setting.aim.seed, subject.max_loss, [row.item_id for row in rows]])
    look = _look(setting, subject, question)
    learning, rows = split(rows, labels_to_learn(setting.aim.labels, len(names)), seed=setting.aim.seed)
    chosen = chosen_signal(learning, labelling, names) if learning else ChosenSignal(signal, None, ())
    try:
        # Checks the confidences alone: which of the answers are lost is not known yet.
        scores = scores_of([_unjudged(row, chosen) for row in rows])
    except UserError as error:
        return blank.evolve(said=str(error))
    free = {n: lost for n, row in enumerate(rows) if (lost := labelling.free(row)) is not None}
    labels = dict(free)

    def buy(numbers: Sequence[int]) -> dict[int, bool]:
        bought = dict(zip(numbers, labelling.buy([rows[n] for n in numbers]), strict=True))
        labels.update(bought)
        return bought

    found = certify(
        scores.confidence,
        buy,
        target=labelling.truth.through(Target(subject.max_loss, delta_of_look(subject.delta, look))),
        labels=setting.aim.labels - len(learning),
        seed=setting.aim.seed,
        free=free,
    )
    # A threshold below every value of the signal accepts all that has a value, no more.
    threshold = None if found.threshold is None else max(0.0, found.threshold)
    certified = None if threshold is None else subject.max_loss
    known = found.evolve(threshold=threshold, certified_max_loss=certified, delta=delta_of_look(subject.delta, look))
    said = explain(known, max_loss=subject.max_loss)
    if chosen.separations:
        worth = "; ".join(map(str, chosen.separations))
        said = f"{said} Chosen on {len(learning)} further labels, by how well each tells right from wrong: {worth}."
    done = blank.evolve(look=look, calibration=known, signal=chosen.signal, said=said)
    curve = risk_curve(scores.confidence.tolist(), labels)
    _store(done, setting, subject, job=job, question=question, chosen=chosen, curve=curve)
    return done


def _blank(setting: CalibrationSetting, subject: CalibrationSubject, truth: Truth, said: str) -> CalibrationResult:
    """Return what is told of a step and model for which no threshold could be sought."""
    return CalibrationResult(
        step=subject.planned.step.name,
        skill=subject.skill.name,
        skill_version=subject.skill.version,
        tier=subject.tier,
        cheap_model=subject.model,
        frontier_model=setting.frontier_model,
        signal=None,
        items=0,
        gold=truth.quality is not None,
        silent=tuple(truth.uncompared),
        look=1,
        calibration=None,
        said=said,
    )


def _has_label(truth: Truth, row: Row) -> bool:
    """Say whether it can be told if the answer is right: without gold the top tier tells."""
    return truth.quality is None or truth.score(row.answer.value, row.item) is not None


def _unjudged(row: Row, chosen: ChosenSignal) -> Score:
    asked = Threshold(signal=chosen.signal, value=None, combination=chosen.combination)
    known = None if row.answer.value is MISSING else as_asked(row.answer.confidence, asked)
    sure = known.value if known is not None and known.signal == chosen.signal else NO_CONFIDENCE
    return Score(id=row.item_id, confidence=sure, cheap_correct=True, frontier_correct=None)


def _rows(setting: CalibrationSetting, subject: CalibrationSubject, job: str) -> Iterator[Row]:
    """Yield the items that a model was asked about, with what the step was shown: its own earlier answers among it."""
    step = subject.planned.step
    with api.engine().db.reading() as tx:
        answers = {row["item"]: row for row in views.answers(tx, job=job, step=step.name)}
        names = {other.step.name for other in setting.plan.steps}
        before = {name: _values(tx, job, name) for name in step.after if name in names}
    for item, row in answers.items():
        settled = {name: values[item] for name, values in before.items() if item in values}
        inputs = inputs_of(step, subject.skill, row["input"], settled)
        if not isinstance(inputs, Unfit):
            yield Row(row["item_id"], row["input"], inputs, _answer(row))


def _values(tx: Connection, job: str, step: str) -> Mapping[int, Json]:
    return {item: value for item, _, value in item_store.outputs(tx, job=job, step=step)}


def _answer(row: RowMapping) -> Answer:
    sure = row["confidence"]
    known = None
    if isinstance(sure, int | float):
        known = Confidence(signal=str(row["signal"]), value=float(sure), known=row["signals"] or {})
    return Answer(row["value"] if row["verdict"] == "accept" else MISSING, str(row["model"]), known)


def _look(setting: CalibrationSetting, subject: CalibrationSubject, question: str) -> int:
    """Return which look at a model's answers this is: the same question again is no further one."""
    with api.engine().db.reading() as tx:
        return calibrations.look(
            tx,
            tenant=setting.tenant,
            skill_digest=subject.skill.digest,
            cheap_model=subject.model,
            frontier_model=setting.frontier_model,
            question=question,
        )


def _store(
    done: CalibrationResult,
    setting: CalibrationSetting,
    subject: CalibrationSubject,
    *,
    job: str,
    question: str,
    chosen: ChosenSignal,
    curve: Sequence[Point],
) -> None:
    assert done.calibration is not None
    row = CalibrationRow(
        tenant=setting.tenant,
        skill=done.skill,
        skill_version=done.skill_version,
        skill_digest=subject.skill.digest,
        cheap_model=done.cheap_model,
        frontier_model=done.frontier_model,
        signal=done.signal or "",
        combination=chosen.combination.model_dump(mode="json") if chosen.combination else None,
        max_loss=subject.borne,
        gold=done.gold,
        home=str(setting.home) if setting.home else None,
        job=job,
        look=done.look,
        question=question,
        curve=[[one.confidence, one.coverage, one.loss] for one in curve],
        created_at=now(),
        # What all looks together may spend, so that a job's certificates add up to what was asked for.
        **(done.calibration.model_dump() | {"delta": subject.delta}),
    )
    with api.engine().db.writing() as tx:
        calibrations.insert(tx, row=row)


def _why_silent(subject: CalibrationSubject) -> str:
    if not subject.skill.confidence:
        return "The skill declares no confidence signal, so its answers are accepted on their checks alone."
    signals = ", ".join(signal.label for signal in subject.skill.confidence)
    return (
        f"None of the skill's signals ({signals}) had a value for any answer of {subject.model}: it may give no "
        "log-probabilities (set `logprobs: true` on the model in the profile if it does), or every answer failed. "
        "Name another signal, such as agreement or a verifier."
    )
