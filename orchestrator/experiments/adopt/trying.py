"""Cheaper models on recorded prompts, beside the recorded answers: no new call of the top model is paid for."""

import random
from dataclasses import dataclass, replace

from firstline.orchestrator import api
from firstline.orchestrator.experiments.adopt.grouping import LogFamily
from firstline.orchestrator.experiments.adopt.log_formats import RecordedCall
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.quality.families.certifying import (
    Certified,
    Compared,
    calibration_row,
    certify,
    sample_answer,
)
from firstline.orchestrator.quality.families.family_skill import CONVERSATION, STEP, value_of, workflow_of
from firstline.orchestrator.quality.families.shadow import verdict
from firstline.orchestrator.run.runner import View, crew_for
from firstline.orchestrator.store import calibrations, views
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import digest
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Workflow
from firstline.schemas.tier import Profile

PURPOSE = "adopt"
#: Recorded calls of one family that cheaper models are asked about, at most.
MOST_TRIED = 400


@dataclass(frozen=True)
class Tried:
    """What came of trying a family."""

    why: str
    #: Whether it may be served below the top model, and pays.
    pays: bool
    #: Part of its requests that cheaper models may answer.
    share: float
    models: tuple[str, ...]
    #: Recorded calls that were compared.
    compared: int


def order_of(profile: Profile, budget_usd: float) -> Order:
    """Return an order without items of its own: each trial brings its own."""
    options = Options(profile=profile.name, budget_usd=budget_usd)
    return Order(JobRequest(profile=profile, options=options), profile, None)


def try_families(
    families: list[LogFamily], profile: Profile, *, budget_usd: float, seed: int, view: View
) -> dict[str, Tried]:
    """Have each family that can be certified answered by the tiers below the top, and store what is certified.

    Interrupted: the budget is used up; the same command goes on.
    """
    order = order_of(profile, budget_usd)
    found: dict[str, Tried] = {}
    with crew_for(order) as crew:
        trials = Trials(replace(order, profile=crew.profile), crew, view, PURPOSE)
        for one in families:
            if one.why is None:
                found[one.family.id] = _try(one, trials, profile, seed)
    return found


def _try(one: LogFamily, trials: Trials, profile: Profile, seed: int) -> Tried:
    calls = one.usable
    drawn = random.Random(seed).sample(calls, min(MOST_TRIED, len(calls)))
    if not drawn:
        return Tried("no recorded answer has the form that was asked for", False, 0.0, (), 0)
    tiers = profile.ladder[:-1]
    workflow = on_its_own(workflow_of(one.skill), {one.skill.name: one.skill}, weighed=True)
    results = [_look(one, trials, workflow, tier.name, drawn, len(tiers)) for tier in tiers]
    known = [result for result in results if result is not None]
    why, pays = verdict(known, one.usd / len(one.calls))
    able = [result for result in known if result.served_share > 0]
    share = max((result.served_share for result in able), default=0.0)
    return Tried(why, pays, share if pays else 0.0, tuple(result.model for result in able), len(drawn))


def _look(
    one: LogFamily, trials: Trials, workflow: Workflow, tier: str, drawn: list[RecordedCall], tiers: int
) -> Certified | None:
    items = [InputItem(str(n), {CONVERSATION: call.request["messages"]}) for n, call in enumerate(drawn)]
    job = trials.run(workflow, items, tier=tier, title=f"family {one.family.id} on {tier}: ")
    with api.engine().db.reading() as tx:
        said = {row["item_id"]: sample_answer(row) for row in views.answers(tx, job=job, step=STEP)}
    rows = [
        Compared(name, value_of(one.skill, drawn[int(name)].answer), answer) for name, answer in sorted(said.items())
    ]
    if not rows:
        return None
    model, family = rows[0].said.model, one.family
    question = digest([PURPOSE, [item.input for item in items], family.max_loss])
    with api.engine().db.writing() as tx:
        look = calibrations.look(
            tx,
            tenant=family.tenant,
            skill_digest=one.skill.digest,
            cheap_model=model,
            frontier_model=family.model,
            question=question,
        )
        done = certify(one.skill, rows, max_loss=family.max_loss, tiers=tiers, look=look)
        if done.calibration is not None:
            row = calibration_row(
                one.skill,
                done,
                tenant=family.tenant,
                frontier_model=family.model,
                max_loss=family.max_loss,
                tiers=tiers,
                look=look,
                question=question,
            )
            calibrations.insert(tx, row=row)
    return done
