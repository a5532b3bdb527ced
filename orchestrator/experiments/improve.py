"""`firstline prompts improve`: the top tier proposes a better prompt from failures, measured before it is taken."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.config.catalogue.catalogue import load_catalogue, of_skill
from firstline.orchestrator import api
from firstline.orchestrator.engine.review import gold_set
from firstline.orchestrator.experiments.evaluation import Evaluation, evaluation, rights
from firstline.orchestrator.experiments.jury import Jury, judged, known_judge
from firstline.orchestrator.experiments.prompt_versions import SkillFile, dump, keep, next_version, text_difference
from firstline.orchestrator.experiments.proposal import CAUSES, Right, brief, revised
from firstline.orchestrator.experiments.sampling import HeldOut, hold_out, item_key
from firstline.orchestrator.experiments.trials import Trials, with_gold
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.quality.calibration.labels import EXACT, Truth, refuse_uncompared
from firstline.orchestrator.reports.failures import causes, read_failures
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import audits, decisions
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.failure import Cause, Failure
from firstline.schemas.job import ItemState
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_paths import MISSING, Absent
from firstline.workers.rules.step_inputs import Unfit, inputs_of

PURPOSE = "improve"
IMPROVER = "prompt_improver"
_CANDIDATES = 12


@dataclass(frozen=True)
class Test:
    """How old and new are measured."""

    labels: int = 50
    seed: int = 0
    gold: str | None = None
    field: str | None = None
    compare: str | None = None


class Improvement(Frozen):
    """A proposed version of a skill, measured."""

    skill: str
    old_version: int
    new_version: int
    failures: int
    causes: tuple[Cause, ...]
    #: What reviewers told the models in the middle of a job.
    rules: tuple[str, ...] = ()
    diagnosis: str
    #: Unified difference of the two files.
    difference: str
    evaluation: Evaluation
    file: str
    accepted: bool = False


def improve(found: SkillFile, order: Order, test: Test, view: View) -> Improvement:
    """Have a new version proposed and measured, and kept beside the others; it is not live until it is taken.

    UserError: nothing went wrong with the live version, too few held-out items, or the model has nothing to change.
    """
    skill = found.skill
    truth = judged(order, skill, _truth(order, skill, test))
    refuse_uncompared(truth, skill)
    failures = _failures(skill, tenant=order.request.options.tenant)
    rules = reviewers_rules(skill, tenant=order.request.options.tenant)
    if not failures and not rules:
        raise UserError(
            f"no answer of version {skill.version} of '{skill.name}' was rejected, lost in an audit or sent back by a "
            "reviewer, so there is nothing to learn from; run it on more items, or with `audit_share` in its policy"
        )
    learnt = learnt_from(failures)
    candidates = _candidates(skill, learnt)
    with order.checked() as usable:
        held_out = hold_out(
            usable.items(),
            test.labels,
            seed=test.seed,
            learnt=[one.input for one in learnt],
            failed=[one.input for one in failures],
        )
        if len(held_out.items) < 2:
            raise UserError(
                f"expected items that nothing is learnt from to measure on, got {len(held_out.items)}; add more"
            )
        with crew_for(usable) as crew:
            trials = Trials(usable, crew, view, PURPOSE)
            proposal = _propose(trials, brief(skill, learnt, candidates, rules))
            new = revised(skill, proposal, candidates, version=next_version(found))
            measured = _evaluate(trials, skill, new, held_out, truth)
    return Improvement(
        skill=skill.name,
        old_version=skill.version,
        new_version=new.version,
        failures=len(failures),
        rules=tuple(rules),
        causes=tuple(causes(failures)[:CAUSES]),
        diagnosis=str(proposal["diagnosis"]),
        difference=text_difference(dump(skill), dump(new), f"version {skill.version}", f"version {new.version}"),
        evaluation=measured,
        file=str(keep(found, new)),
    )


def learnt_from(failures: Sequence[Failure]) -> list[Failure]:
    """Return the failures that the improver is shown: about half, by their inputs.

    The other half may be drawn to be measured on: where all that failed is left out, no improvement can be seen.
    """
    chosen = [one for one in failures if int(item_key(one.input), 16) % 2]
    return chosen or list(failures[:1])


def _failures(skill: Skill, *, tenant: str) -> list[Failure]:
    """Return what went wrong with this version: accepted answers that an audit found lost, and rejected ones."""
    steering = api.engine()
    with steering.db.reading() as tx:
        lost = [_lost(row, skill) for row in audits.lost(tx, tenant=tenant, skill_digest=skill.digest)]
    return [*lost, *read_failures(steering, skill=skill.name, digest=skill.digest, tenant=tenant)]


def reviewers_rules(skill: Skill, *, tenant: str, most: int = 10) -> list[str]:
    """Return what reviewers told the models when they had this version's answers done again, newest first."""
    steering = api.engine()
    found: dict[str, None] = {}
    with steering.db.reading() as tx:
        for row in decisions.restarts(tx, tenant=tenant, skill=skill.name):
            plan = steering.job(tx, row["job"]).plan
            reviewed = plan.step(plan.step(row["step"]).step.reviews or "").step.skill
            feedback = row["data"].get("feedback")
            if reviewed and plan.skills[reviewed].digest == skill.digest and isinstance(feedback, str) and feedback:
                found[feedback] = None
    return list(found)[:most]


def _lost(row: RowMapping, skill: Skill) -> Failure:
    return Failure(
        job=row["job"],
        item_id=row["item_id"],
        step=row["step"],
        n=0,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        tier=row["tier"],
        model=row["model"],
        at=row["at"],
        error="lost",
        checks=(),
        reasons=("accepted, and wrong by the audit",),
        verdict="accept",
        value=row["value"],
        text=None,
        then="accepted",
        input=row["input"],
        settled=row["right"],
        settled_by="audit",
    )


def _candidates(skill: Skill, failures: Sequence[Failure]) -> list[Right]:
    """Return items with right answers: what persons answered, then what a stronger tier or an audit says."""
    gold = [Right(one.input, one.gold) for one in gold_set(api.engine(), skill=skill.name)]
    mended = [
        Right(inputs, one.settled)
        for one in failures
        if one.settled_by not in (None, one.tier) and (inputs := _inputs(skill, one)) is not None
    ]
    known: dict[str, Right] = {}
    for one in (*gold, *mended):
        known.setdefault(json.dumps(one.inputs, sort_keys=True), one)
    return list(known.values())[:_CANDIDATES]


def _inputs(skill: Skill, failure: Failure) -> JsonObject | None:
    """Return the skill's inputs of a failed item; None where they come from earlier steps."""
    steering = api.engine()
    with steering.db.reading() as tx:
        step = steering.job(tx, failure.job).plan.step(failure.step).step
    found = inputs_of(step, skill, failure.input, {})
    return None if isinstance(found, Unfit) else found


def _propose(trials: Trials, told: JsonObject) -> JsonObject:
    """Return the top tier's proposal in the form of the improver's output schema."""
    workflow = of_skill(load_catalogue().skill(IMPROVER), inline=True)
    job = trials.run(workflow, [InputItem("1", told)], tier=trials.crew.profile.ladder[-1].name, title="proposal: ")
    result = next(api.results(job))
    if result.status is not ItemState.SETTLED or not isinstance(result.output, dict):
        raise UserError(f"the top tier proposed nothing usable ({result.reason}); see `firstline failures --job {job}`")
    return result.output


def _evaluate(trials: Trials, old: Skill, new: Skill, held_out: HeldOut, truth: Truth) -> Evaluation:
    """Let the lowest tier answer the held-out items with either version, and compare what is right."""
    ladder = trials.crew.profile.ladder
    low, top = ladder[0], ladder[-1]
    before, after = (_answers(trials, skill, held_out.items, low.name) for skill in (old, new))
    reference = {} if truth.quality else _answers(trials, old, held_out.items, top.name)
    if truth.has_judge:
        asked = [
            (one.input, answers.get(one.item_id, MISSING), reference.get(one.item_id, MISSING))
            for answers in (before, after)
            for one in held_out.items
        ]
        Jury(trials, old, known_judge(trials.order, old)).settle(truth, asked)
    against = f"`{truth.quality.gold}`" if truth.quality else f"agreement with {top.models[0].name}"
    failed, others = (rights(part, truth, before, after, reference) for part in (held_out.failed, held_out.others))
    return evaluation(
        failed, others, truth, failed_share=held_out.failed_share, model=low.models[0].name, against=against
    )


def _truth(order: Order, skill: Skill, test: Test) -> Truth:
    workflow = order.request.workflow
    known = workflow.quality if isinstance(workflow, Workflow) else None
    quality = with_gold(known, test.gold, test.field, test.compare)
    if quality is None and test.compare is None and test.field is None:
        return Truth(folders=order.functions, fields=comparators_of(skill))
    if quality is None:
        return Truth(compare=test.compare or EXACT, field=test.field, folders=order.functions)
    return Truth(quality=quality, compare=quality.compare, field=quality.field, folders=order.functions)


def _answers(trials: Trials, skill: Skill, held_out: Sequence[InputItem], tier: str) -> dict[str, Json | Absent]:
    workflow = on_its_own(of_skill(skill, inline=True), {skill.name: skill})
    job = trials.run(workflow, held_out, tier=tier, title=f"version {skill.version} on {tier}: ")
    settled = ItemState.SETTLED
    return {one.item_id: one.output if one.status is settled else MISSING for one in api.results(job)}
