"""`firstline compare`: each model answers the same items alone, as an ordinary job, and they are laid side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.experiments.comparison import CallRecord, ComparedStep, Run, build, dearest
from firstline.orchestrator.experiments.jury import AnswerPair, Jury, judged, known_judge
from firstline.orchestrator.experiments.trials import Trials, with_gold
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.plans.thresholds import nothing_certified
from firstline.orchestrator.quality.calibration.labels import EXACT, Truth, output_skill, output_truth, truth_of
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import views
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparison import Comparison
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.plan import Plan, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier, TierKind
from firstline.workers.rules.json_paths import MISSING, Absent

PURPOSE = "compare"


@dataclass(frozen=True)
class Question:
    """What is to be compared, and by what."""

    #: Names of models in the profile, of its tiers, or as litellm names them; empty: the first model of each tier.
    models: tuple[str, ...] = ()
    gold: str | None = None
    field: str | None = None
    compare: str | None = None


def compare_models(order: Order, question: Question, view: View, *, record: Path | None = None) -> Comparison:
    """Run each model over the order's items and return them side by side.

    UserError: an unknown model, no usable items, or the budget is used up.
    """
    profile = compare_profile(order.profile, question.models)
    workflow = _workflow(order, question)
    with order.checked() as usable:
        items = [item for item in usable.items() if item.error is None]
        if not items:
            raise UserError("none of the items can be read; `firstline run` would say what is wrong with each")
        with crew_for(replace(usable, profile=profile), record) as crew:
            # One after the other, so that none slows another down.
            trials = Trials(usable, crew, view, PURPOSE)
            found = [_run(trials, workflow, items, tier) for tier in crew.profile.ladder]
            return laid_out(
                found,
                {item.item_id: item.input for item in items},
                plan=_plan(workflow, profile),
                compare=question.compare,
                field=question.field,
                folders=order.functions,
                judged=partial(judged, order),
                settle=partial(_settle, order, trials),
            )


def _settle(order: Order, trials: Trials, skill: Skill, truth: Truth, asked: Iterable[AnswerPair]) -> None:
    if truth.has_judge:
        Jury(trials, skill, known_judge(order, skill)).settle(truth, asked)


#: Has a judge asked what only it can tell of answers to a skill.
Settle = Callable[[Skill, Truth, Iterable[AnswerPair]], None]


def laid_out(
    runs: Sequence[Run],
    fields: Mapping[str, JsonObject],
    *,
    plan: Plan,
    compare: str | None = None,
    field: str | None = None,
    folders: tuple[Path, ...] = (),
    judged: Callable[[Skill, Truth], Truth] = lambda skill, truth: truth,
    settle: Settle = lambda skill, truth, asked: None,
) -> Comparison:
    """Return runs of one plan side by side; `compare` and `field` say how outputs are compared where it has no gold.

    Without a judge that `settle` asks, prose that is left to one is neither the same nor not.
    """
    quality, reference = plan.quality, dearest(runs)
    steps = []
    for planned in plan.steps:
        if planned.step.skill:
            name, skill = planned.step.name, plan.skills[planned.step.skill]
            truth = truth_of(quality, name, output=plan.output, folders=folders, skill=skill)
            steps.append(ComparedStep(name, skill.name, judged(skill, truth), planned.policy.max_loss))
            answers = [(run.answers.get(name, {}), reference.answers.get(name, {})) for run in runs]
            settle(skill, steps[-1].truth, _asked(answers, fields))
    truth = _output_truth(plan, compare=compare, field=field, folders=folders)
    whole = output_skill(plan)
    if truth.has_judge and whole is not None:
        truth = judged(whole, truth)
        for step in steps:
            truth.judged.update(step.truth.judged)
        settle(whole, truth, _asked([(run.outputs, reference.outputs) for run in runs], fields))
    return build(runs, fields, workflow=plan.workflow, truth=truth, steps=steps)


def _asked(
    answers: Iterable[tuple[Mapping[str, Json | Absent], Mapping[str, Json | Absent]]], fields: Mapping[str, JsonObject]
) -> Iterator[AnswerPair]:
    for ours, theirs in answers:
        if ours is not theirs:
            yield from ((fields[one], value, theirs.get(one, MISSING)) for one, value in ours.items() if one in fields)


def _output_truth(plan: Plan, *, compare: str | None, field: str | None, folders: tuple[Path, ...]) -> Truth:
    quality = plan.quality
    if quality is not None:
        return Truth(quality=quality, compare=quality.compare, field=quality.field, folders=folders)
    if compare is None and field is None:
        return output_truth(plan, folders=folders)
    return Truth(compare=compare or EXACT, field=field, folders=folders)


def compare_profile(profile: Profile, names: Sequence[str]) -> Profile:
    """Return the ladder of a comparison: a tier for each model, on a queue that the profile's workers serve."""
    chosen = [pick(profile, name) for name in names] or [(tier, tier.models[0]) for tier in profile.ladder]
    doubled = [model.name for at, (_, model) in enumerate(chosen) if model in [other for _, other in chosen[:at]]]
    if doubled:
        raise UserError(f"--models names {doubled[0]} twice; each model is compared once")
    tiers = tuple(
        tier.evolve(name=f"model-{number}", queue=tier.queue, models=(model,), kind=TierKind.MODEL)
        for number, (tier, model) in enumerate(chosen, 1)
    )
    used = {model.service for _, model in chosen}
    tools = tuple(tier for tier in profile.tiers if tier.kind is TierKind.TOOLS)
    services = tuple(service for service in profile.services if service.name in used)
    return profile.evolve(tiers=(*tools, *tiers), services=services, orchestrator=None)


def pick(profile: Profile, name: str) -> tuple[Tier, Model]:
    """Return a model by its name (with or without its provider), its tier's name, or as litellm names it."""
    for tier in profile.ladder:
        for model in tier.models:
            if name in (model.name, model.name.rpartition("/")[2], tier.name):
                return tier, model
    if "/" not in name:
        known = ", ".join(model.name for model in profile.models)
        raise UserError(
            f"--models: profile '{profile.name}' has no model or tier '{name}'; it has {known}. Any other model is "
            "named as litellm does: provider/model"
        )
    return profile.ladder[0], Model(name=name)


def _workflow(order: Order, question: Question) -> Workflow:
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill to compare models on, got a goal; name the workflow")
    quality = with_gold(workflow.quality, question.gold, question.field, question.compare)
    # Signals that cost calls of their own are left to `calibrate`; those that are free tell here what they are worth.
    skills = {
        name: skill.evolve(confidence=tuple(one for one in skill.confidence if not one.is_costly))
        for name, skill in load_catalogue().parts(workflow).skills.items()
    }
    return on_its_own(workflow.evolve(quality=quality), skills, weighed=any(one.confidence for one in skills.values()))


def _plan(workflow: Workflow, profile: Profile) -> Plan:
    return compile_plan(workflow, catalogue=load_catalogue(), profile=profile, tiers=(), certificates=nothing_certified)


def _run(trials: Trials, workflow: Workflow, items: Sequence[InputItem], tier: Tier) -> Run:
    model = tier.models[0].name
    return read_run(trials.run(workflow, items, tier=tier.name, title=f"{model}: "), model)


def read_run(job: str, model: str) -> Run:
    """Return what a model came to in a job of its own."""
    results = {result.item_id: result for result in api.results(job)}
    outputs: dict[str, Json | Absent] = {}
    failures: dict[str, str] = {}
    for item_id, result in results.items():
        settled = result.status is ItemState.SETTLED
        outputs[item_id] = result.output if settled else MISSING
        if not settled:
            failures[item_id] = result.reason or result.status.value
    answers, calls, confidences = _answers(job)
    return Run(model, job, outputs, failures, answers, calls, confidences)


_Values = Mapping[str, Mapping[str, Json | Absent]]
_Confidences = Mapping[str, Mapping[str, float]]


def _answers(job: str) -> tuple[_Values, list[CallRecord], _Confidences]:
    answers: dict[str, dict[str, Json | Absent]] = {}
    calls: list[CallRecord] = []
    confidences: dict[str, dict[str, float]] = {}
    with api.engine().db.reading() as tx:
        for row in views.answers(tx, job=job):
            accepted = row["verdict"] == "accept"
            answers.setdefault(row["step"], {})[row["item_id"]] = row["value"] if accepted else MISSING
            if accepted and row["confidence"] is not None:
                confidences.setdefault(row["step"], {})[row["item_id"]] = row["confidence"]
            calls.append(
                CallRecord(
                    row["step"], row["latency_s"], row["cost_usd"], row["error"], answered=row["verdict"] != "fault"
                )
            )
    return answers, calls, confidences
