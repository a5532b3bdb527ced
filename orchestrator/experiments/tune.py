"""`firstline tune`: from rows to the cheapest pipeline that can be certified, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.providers.prices import price_of
from firstline.orchestrator import api
from firstline.orchestrator.core.statistics import clopper_pearson
from firstline.orchestrator.experiments.jury import Jury, judged, known_judge, untold
from firstline.orchestrator.experiments.sampling import sample
from firstline.orchestrator.experiments.trials import Trials, with_gold
from firstline.orchestrator.experiments.tune_report import (
    CandidateFigures,
    CurvePoint,
    KeptTuning,
    StepTuned,
    TuneAim,
    TuneReport,
    TuningOrigin,
)
from firstline.orchestrator.experiments.tuning.bought import MOST_CHARS, Purse, StepSource, takes_examples
from firstline.orchestrator.experiments.tuning.choice import WORTH
from firstline.orchestrator.experiments.tuning.pipeline import DRAWN, TuningResult, infeasible, rows_needed, tune
from firstline.orchestrator.money.estimate import estimate
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.plans.thresholds import nothing_certified
from firstline.orchestrator.quality.calibration.labels import Truth, step_truth
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import tunings
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, TierKind

PURPOSE = "tune"
#: What calls may cost beside what their tokens are estimated at.
_MARGIN = 2.0
#: Fewest characters of a token in a text of examples, to be on the safe side.
_CHARS_A_TOKEN = 3


@dataclass(frozen=True)
class TuningPlan:
    """A tuning that can begin: what it looks at, and what it will cost at most."""

    order: Order
    workflow: Workflow
    plan: Plan
    profile: Profile
    aim: TuneAim
    #: None: a price is unknown.
    at_most_usd: float | None
    #: Steps that stay with the top model, and why.
    standing: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> TuningOrigin:
        """What is kept of it beside its report."""
        home = str(self.order.home) if self.order.home else None
        skills = tuple(skill for _, skill, _ in self.steps)
        tenant = self.order.request.options.tenant
        return TuningOrigin(tenant=tenant, profile=self.order.profile, skills=skills, home=home)

    @property
    def top(self) -> str:
        """Name of the top tier."""
        return self.profile.ladder[-1].name

    def model(self, tier: str) -> Model:
        """Return a tier's one model."""
        found = self.profile.tier(tier)
        assert found is not None
        return found.models[0]

    @property
    def steps(self) -> list[tuple[PlannedStep, Skill, Truth]]:
        """The steps that models answer, with what is right for each."""
        return _truths(self.workflow, self.plan, self.aim, self.order)


def _truths(workflow: Workflow, plan: Plan, aim: TuneAim, order: Order) -> list[tuple[PlannedStep, Skill, Truth]]:
    return [
        (
            planned,
            plan.skills[planned.step.skill],
            judged(
                order,
                plan.skills[planned.step.skill],
                step_truth(
                    plan, planned, workflow.quality, compare=aim.compare, field=aim.field, folders=order.functions
                ),
            ),
        )
        for planned in plan.steps
        if planned.step.skill
    ]


def prepare(order: Order, aim: TuneAim) -> TuningPlan:
    """Look at what is to be tuned, and say what it will cost at most; nothing is called.

    UserError: a goal, no cheaper model, or too few labels or rows for the loss that was named.
    """
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill to tune, got a goal; name the workflow")
    profile = tried_profile(order.profile)
    catalogue = load_catalogue(tenant=order.request.options.tenant)
    workflow = workflow.evolve(quality=with_gold(workflow.quality, aim.gold, aim.field, aim.compare))
    workflow = on_its_own(workflow, catalogue.parts(workflow).skills, weighed=True)
    refused = infeasible(len(profile.ladder) - 1, aim.rows or aim.labels, aim.labels, aim.target)
    if refused:
        raise UserError(refused)
    plan = compile_plan(workflow, catalogue=catalogue, profile=profile, tiers=(), certificates=nothing_certified)
    steps = _truths(workflow, plan, aim, order)
    standing = untold((planned.step.name, skill, truth) for planned, skill, truth in steps)
    if standing and len(standing) == len(steps):
        raise UserError(next(iter(standing.values())))
    at_most = _at_most(replace(order, profile=profile, request=order.request.evolve(workflow=workflow)), profile, aim)
    return TuningPlan(order, workflow, plan, profile, aim, at_most, standing)


def tried_profile(profile: Profile) -> Profile:
    """Return the ladder of a tuning: a tier for each model of the profile, the top tier's first one on top."""
    tiers = []
    for tier in profile.ladder:
        models = tier.models if tier is not profile.ladder[-1] else (*tier.models[1:], tier.models[0])
        names = [tier.name if model is tier.models[0] else f"{tier.name}-{at}" for at, model in enumerate(models, 2)]
        tiers += [
            tier.evolve(name=name, queue=tier.queue, models=(model,), kind=TierKind.MODEL)
            for name, model in zip(names, models, strict=True)
        ]
    tools = tuple(tier for tier in profile.tiers if tier.kind is TierKind.TOOLS)
    return profile.evolve(tiers=(*tools, *tiers))


def _at_most(order: Order, profile: Profile, aim: TuneAim) -> float | None:
    """Return what a tuning costs at most: its labels, what the choosing is worth, and the rows that certify."""
    with api.engine().db.reading() as tx:
        expected = estimate(tx, order)
    tokens_in = sum(step.input_tokens for step in expected.steps)
    tokens_out = sum(step.output_tokens for step in expected.steps)
    prices = [price_of(tier.models[0]) for tier in profile.ladder]
    if any(price is None or price.input is None or price.output is None for price in prices):
        return None
    shown = min(aim.examples * (tokens_in + tokens_out), MOST_CHARS / _CHARS_A_TOKEN)
    *below, top_usd = (
        ((tokens_in + more) * price.input + tokens_out * price.output) / 1e6  # type: ignore[union-attr,operator]
        for price, more in zip(prices, [*([shown] * (len(prices) - 1)), 0], strict=True)
    )
    rows = min(expected.items, aim.rows or expected.items)
    certifying = max(below) * min(rows, DRAWN * aim.labels)
    return _MARGIN * (top_usd * min(rows, aim.labels) * (1 + WORTH) + certifying)


def carry_out(prepared: TuningPlan, view: View, *, record: Path | None = None) -> KeptTuning:
    """Buy answers, choose and certify, step by step; the same command goes on where one was broken off.

    Raises Interrupted when the budget is used up, UserError where a model has no price.
    """
    origin = prepared.origin
    aim, order = prepared.aim, replace(prepared.order, profile=prepared.profile)
    budget = order.request.options.budget_usd or prepared.at_most_usd
    options = order.request.options.evolve(budget_usd=budget)
    order = replace(order, request=order.request.evolve(options=options, profile=prepared.profile))
    with order.checked() as usable:
        most = min(aim.rows or rows_needed(aim.labels), rows_needed(aim.labels))
        items = sample(usable.items(), most, seed=aim.seed)
        labels = min(aim.labels, len(items))
        refused = infeasible(len(prepared.profile.ladder) - 1, len(items), labels, aim.target)
        if refused:
            raise UserError(refused)
        with crew_for(usable, record) as crew:
            prepared = replace(prepared, profile=crew.profile)
            purse = Purse(Trials(usable, crew, view, PURPOSE), prepared.workflow, items, labels, prepared.top)
            # What others cost on top is known once answers were bought.
            ordered = sorted(prepared.steps, key=lambda step: step[0].step.name in prepared.standing)
            found = {step[0].step.name: _tune_step(prepared, purse, *step) for step in ordered}
            steps = [found[planned.step.name] for planned, _, _ in prepared.steps]
    report = _summed(prepared, purse, steps)
    with api.engine().db.writing() as tx:
        number = tunings.insert(
            tx,
            tenant=origin.tenant,
            workflow=report.workflow,
            report=report.model_dump(mode="json"),
            origin=origin.model_dump(mode="json"),
        )
    return KeptTuning(number=number, report=report, origin=origin)


def kept(number: int, *, tenant: str | None) -> KeptTuning | None:
    """Return a tuning that is kept; None where this tenant has none of that number."""
    with api.engine().db.reading() as tx:
        row = tunings.get(tx, tuning=number, tenant=tenant)
    return KeptTuning(number=row["id"], report=row["report"], origin=row["origin"]) if row is not None else None


def _tune_step(prepared: TuningPlan, purse: Purse, planned: PlannedStep, skill: Skill, truth: Truth) -> StepTuned:
    step = planned.step.name
    if step in prepared.standing:
        return StepTuned(
            step=step,
            skill=skill.name,
            top_model=prepared.model(prepared.top).name,
            top_usd_per_1000_rows=1000 * purse.mean_usd(prepared.top, step),
            candidates=(),
            model=None,
            reason=prepared.standing[step],
        )
    cheaper = [tier.name for tier in prepared.profile.ladder[:-1]]
    jury = Jury(purse.trials, skill, known_judge(prepared.order, skill)) if truth.has_judge else None
    shows = prepared.aim.examples if takes_examples(skill) else 0
    source = StepSource(purse, planned, skill, truth, cheaper, shows, jury)
    found = tune(source, purse.labels, truth.through(prepared.aim.target), seed=prepared.aim.seed)
    top_usd = purse.mean_usd(prepared.top, step)
    chosen = found.candidate
    saving = found.saving
    return StepTuned(
        step=step,
        skill=skill.name,
        top_model=prepared.model(prepared.top).name,
        top_usd_per_1000_rows=1000 * top_usd,
        candidates=tuple(_figures(prepared, purse, found, one.candidate, top_usd) for one in found.prospects),
        model=prepared.model(purse.tier_of(chosen)).name if chosen else None,
        threshold=None if found.replaces_top else found.threshold,
        signal=purse.signal(chosen, step) if chosen else None,
        examples=purse.shown_to(chosen) if chosen else (),
        climbing=saving.climbing if saving else None,
        cost_share=saving.cost_share if saving else 1.0,
        low=saving.low if saving else 1.0,
        high=saving.high if saving else 1.0,
        labels=found.labels,
        reason=found.reason,
        curve=tuple(CurvePoint(cost_share=one.cost_share, loss=one.loss) for one in found.curve),
    )


def _figures(
    prepared: TuningPlan, purse: Purse, found: TuningResult, candidate: str, top_usd: float
) -> CandidateFigures:
    shown = len(purse.shown_to(candidate))
    one = next(one for one in found.prospects if one.candidate == candidate)
    kept = clopper_pearson(one.labelled - one.lost, one.labelled)
    return CandidateFigures(
        model=prepared.model(purse.tier_of(candidate)).name + (f", {shown} examples shown" if shown else ""),
        usd_per_1000_rows=1000 * one.price_share * top_usd,
        kept=one.labelled - one.lost,
        labelled=one.labelled,
        kept_low=kept.low,
        kept_high=kept.high,
        cost_share=one.cost_share,
        low=one.low,
        high=one.high,
        said=_said(found, candidate),
    )


def _said(found: TuningResult, candidate: str) -> str:
    """Return that a candidate is certified, or why not."""
    one = next(one for one in found.prospects if one.candidate == candidate)
    if candidate == found.candidate:
        how = (
            "every usable answer is taken" if found.replaces_top else f"taken from confidence {found.threshold:.4g} on"
        )
        return f"certified: {how}"
    if candidate == found.tried:
        return found.reason
    if one.is_dropped:
        return f"left out after {one.asked} rows: likely {one.low:.0%} of the top model's cost or more"
    if one.cost_share >= 1:
        return "not certified: it is not likely to save anything at this loss"
    return "not certified: another is likely cheaper"


def _summed(prepared: TuningPlan, purse: Purse, steps: Sequence[StepTuned]) -> TuneReport:
    weights = [step.top_usd_per_1000_rows for step in steps]
    total = sum(weights) or 1.0

    def mean(values: Sequence[float]) -> float:
        return sum(weight * value for weight, value in zip(weights, values, strict=True)) / total

    return TuneReport(
        workflow=prepared.workflow.name,
        rows=len(purse.items),
        labels=purse.labelled,
        max_loss=prepared.aim.max_loss,
        delta=prepared.aim.delta,
        at_most_usd=prepared.at_most_usd,
        spent_usd=purse.spent_usd,
        steps=tuple(steps),
        cost_share=mean([step.cost_share for step in steps]),
        low=mean([step.low for step in steps]),
        high=mean([step.high for step in steps]),
        gold=prepared.workflow.quality is not None,
    )
