"""Shadow: samples of a family are asked of cheaper tiers off the critical path, until thresholds can be certified.

A row of the sweep. What is asked are ordinary jobs of low priority with a budget; what they answer is compared with
what the top model had answered, and the certificates are calibrations like any others.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from redis.exceptions import RedisError
from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.quality.families.certifying import (
    Certified,
    Compared,
    SampleAnswer,
    calibration_row,
    certify,
    sample_answer,
)
from firstline.orchestrator.quality.families.family import Family, FamilyChoice, FamilyState, family_of
from firstline.orchestrator.quality.families.family_skill import (
    AUDIT_SHARE,
    CONVERSATION,
    comparator_of_texts,
    skill_of,
    value_of,
    why_straight,
    workflow_of,
)
from firstline.orchestrator.store import calibrations, families, jobs, views
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.job import JobRequest, Options, Priority
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

_log = logging.getLogger(__name__)

PURPOSE = "shadow"
#: Samples that are asked together, or as many as there are after so long.
LOT, LOT_WAITS = 20, timedelta(seconds=10)
_MOST_AT_ONCE = 200
#: Compared samples at the first look for thresholds; each further look is at twice as many, the last at the most.
FIRST_LOOK, MOST_SAMPLES = 120, 3840


def look_after(engine: Context) -> None:
    """Ask, collect and certify for every family whose turn it is."""
    with engine.db.reading() as tx:
        found = families.listed(tx)
        waiting, asked = (families.by_state(tx, state=state) for state in ("waiting", "asked"))
    catalogue_of = cache(lambda tenant: load_catalogue(tenant=tenant))
    for row in found:
        try:
            family = family_of(row)
            if family.choice is not FamilyChoice.AUTO or family.state is FamilyState.STRAIGHT:
                continue
            profile = catalogue_of(family.tenant).profile(family.profile)
            _look_after(engine, family, profile, waiting=waiting.get(family.id, 0), asked=asked.get(family.id, 0))
        except UserError as error:
            _say(engine, family, str(error))
        except (InfrastructureError, RedisError, OSError):
            raise
        except Exception:
            # One family's trouble is its own, as one job's is.
            _log.exception("family.failed", extra={"family": row["id"]})


def _look_after(engine: Context, family: Family, profile: Profile, *, waiting: int, asked: int) -> None:
    if asked:
        _collect(engine, family)
    if family.state is FamilyState.SERVED:
        _watch(engine, family, profile)
    elif (ready := _comparable(engine, family, profile, waiting)) is not None:
        _ask(engine, ready, profile)
        _certify(engine, ready, profile)


def _say(engine: Context, family: Family, why: str, **values: object) -> None:
    if why != family.why or values:
        with engine.db.writing() as tx:
            families.change(tx, family=family.id, why=why, **values)


# Asking -----------------------------------------------------------------------------------------------------------


def _comparable(engine: Context, family: Family, profile: Profile, waiting: int) -> Family | None:
    """Return the family where its answers can be compared; what texts are shows once there are some."""
    skill = skill_of(family)
    why = why_straight(family, profile, skill)
    if why is None:
        return family
    if family.straight is None and len(profile.ladder) > 1:
        why = f"{why}; `firstline families set {family.id} --compare` names a comparator"
    if not skill.is_text or family.straight is not None or len(profile.ladder) < 2:
        _say(engine, family, why, state=FamilyState.STRAIGHT.value)
        return None
    with engine.db.reading() as tx:
        texts = [row["answer"] for row in families.samples(tx, family=family.id, state="waiting")] if waiting else []
    found = comparator_of_texts(texts)
    if found is not None:
        what = "numbers" if found == "number" else "a few labels"
        _say(engine, family, f"its texts are {what}", compare=found)
        return family.evolve(compare=found)
    if len(texts) >= FIRST_LOOK // 2:
        with engine.db.writing() as tx:
            families.set_samples(tx, ids=[row["id"] for row in _rows(tx, family)], state="void", messages=None)
        _say(engine, family, why, state=FamilyState.STRAIGHT.value)
    else:
        seen = f"its answers are texts: {len(texts)} of the {FIRST_LOOK // 2} that are looked at first"
        _say(engine, family, f"{seen}; no cheaper model is asked before")
    return None


def _rows(tx: Connection, family: Family) -> list[RowMapping]:
    return families.samples(tx, family=family.id, state="waiting")


def _ask(engine: Context, family: Family, profile: Profile) -> None:
    """Hand a lot of samples to each tier below the top, within what the family's shadow may cost."""
    with engine.db.reading() as tx:
        rows = _rows(tx, family)[:_MOST_AT_ONCE]
    if not rows or (len(rows) < LOT and rows[0]["at"] > now() - LOT_WAITS):
        return
    left_usd = engine.settings.shadow_budget * family.top_usd - family.shadow_usd
    tiers = profile.ladder[:-1]
    if family.top_usd <= 0:
        _say(engine, family, f"what {family.model} costs is not known: give it a `price` in profile '{profile.name}'")
        return
    if left_usd <= 0:
        _say(engine, family, f"its shadow has used {engine.settings.shadow_budget:.0%} of what the top model costs")
        return
    workflow = on_its_own(workflow_of(skill := skill_of(family)), {skill.name: skill}, weighed=True)
    items = [InputItem(str(row["id"]), {CONVERSATION: row["messages"]}) for row in rows]
    asked = {}
    for tier in tiers:
        request = JobRequest(
            workflow=workflow,
            name=f"shadow of {family.name} on {tier.name}",
            profile=profile,
            options=Options(
                profile=profile.name,
                budget_usd=left_usd / len(tiers),
                priority=Priority.LOW,
                tenant=family.tenant,
                tiers=(tier.name,),
                dedupe=False,
                purpose=PURPOSE,
            ),
            idempotency_key=f"{PURPOSE}:{family.id}:{tier.name}:{rows[0]['id']}-{rows[-1]['id']}",
        )
        asked[tier.name] = api.submit(request, items)
    with engine.db.writing() as tx:
        families.set_samples(tx, ids=[row["id"] for row in rows], state="asked", jobs=asked)


# Collecting -------------------------------------------------------------------------------------------------------


def _collect(engine: Context, family: Family) -> None:
    """Take what shadow jobs have answered; of one that stopped at its budget, what it has."""
    with engine.db.reading() as tx:
        rows = families.samples(tx, family=family.id, state="asked")
        lots: dict[tuple[str, ...], list[RowMapping]] = {}
        for row in rows:
            lots.setdefault(tuple(row["jobs"].values()), []).append(row)
        over = {lot: mine for lot, mine in lots.items() if all(_rests(tx, job) for job in lot)}
    for lot, mine in over.items():
        with engine.db.reading() as tx:
            answers = [{row["item_id"]: sample_answer(row) for row in views.answers(tx, job=job)} for job in lot]
            spent_usd = sum(jobs.spent(tx, job=job) for job in lot)
        with engine.db.writing() as tx:
            for row in mine:
                said = [found[str(row["id"])] for found in answers if str(row["id"]) in found]
                families.set_samples(
                    tx,
                    ids=[row["id"]],
                    state="done" if len(said) == len(lot) else "void",
                    messages=None,
                    answers={one.model: one.model_dump(mode="json") for one in said},
                )
            families.add(tx, family=family.id, counts={"shadow_usd": spent_usd})
        for job in lot:
            api.cancel(job, reason="what it answered was taken")


def _rests(tx: Connection, job: str) -> bool:
    return jobs.status(tx, job=job).rests


# Certifying -------------------------------------------------------------------------------------------------------


def _certify(engine: Context, family: Family, profile: Profile) -> None:
    """Seek thresholds once there are samples enough for the next look; what pays is served from then on."""
    skill = skill_of(family)
    with engine.db.reading() as tx:
        # What was before audits found drift is another traffic.
        since = calibrations.drifted_at(
            tx, tenant=family.tenant, skill_digest=skill.digest, frontier_model=family.model
        )
        rows = families.samples(tx, family=family.id, state="done", since=since)
    due = FIRST_LOOK if not family.looked else 2 * family.looked
    if len(rows) < due or family.looked >= MOST_SAMPLES:
        if not family.looked:
            _say(engine, family, f"{len(rows)} of {FIRST_LOOK} compared")
        return
    tiers = profile.ladder[:-1]
    found = []
    for tier in tiers:
        compared = _compared(skill, rows, [model.name for model in tier.models])
        question = f"{PURPOSE}:{len(rows)}:{rows[-1]['id']}"
        if not compared:
            continue
        model = compared[0].said.model
        with engine.db.writing() as tx:
            look = calibrations.look(
                tx,
                tenant=family.tenant,
                skill_digest=skill.digest,
                cheap_model=model,
                frontier_model=family.model,
                question=question,
            )
            one = certify(skill, compared, max_loss=family.max_loss, tiers=len(tiers), look=look)
            found.append(one)
            if one.calibration is not None:
                row = calibration_row(
                    skill,
                    one,
                    tenant=family.tenant,
                    frontier_model=family.model,
                    max_loss=family.max_loss,
                    tiers=len(tiers),
                    look=look,
                    question=question,
                )
                calibrations.insert(tx, row=row)
    top_usd = family.top_usd / family.top_calls if family.top_calls else None
    why, pays = verdict(found, top_usd)
    state = FamilyState.SERVED if pays else FamilyState.SHADOW
    _say(engine, family, why, state=state.value, looked=len(rows))
    _log.info("family.looked", extra={"family": family.id, "state": state.value, "samples": len(rows)})


def _compared(skill: Skill, rows: Sequence[RowMapping], models: Sequence[str]) -> list[Compared]:
    """Return what the model of a tier that answered most said, beside the top model's answers."""
    said = {name: [row for row in rows if name in row["answers"]] for name in models}
    model = max(said, key=lambda name: len(said[name]))
    return [
        Compared(str(row["id"]), value_of(skill, row["answer"]), SampleAnswer.model_validate(row["answers"][model]))
        for row in said[model]
    ]


def verdict(found: Sequence[Certified], top_usd: float | None) -> tuple[str, bool]:
    """Return what thresholds for a ladder's models, cheapest first, mean, and whether serving by them pays."""
    able = [one for one in found if one.served_share > 0]
    if not able:
        return next((f"{one.model}: {one.said}" for one in found), "no cheaper model answered"), False
    left, usd = 1.0, 0.0
    for one in able:
        usd += left * (one.usd or 0.0)
        left = min(left, 1 - one.served_share)
    share = 1 - left
    names = ", ".join(one.model for one in able)
    if top_usd is None or any(one.usd is None for one in able):
        return f"{names} may answer {share:.0%}; what calls cost is not known", False
    if usd + (left + AUDIT_SHARE * share) * top_usd >= top_usd:
        return f"{names} may answer {share:.0%}, which would cost more than the top model alone", False
    loss = sum(one.calibration.certified_max_loss or 0.0 for one in able if one.calibration is not None)
    return f"{names} may answer {share:.0%} at a loss of at most {loss:.1%}", True


# Watching ---------------------------------------------------------------------------------------------------------


def _watch(engine: Context, family: Family, profile: Profile) -> None:
    """Put a served family back into shadow where none of its certificates holds any more."""
    skill = skill_of(family)
    below = {model.name for tier in profile.ladder[:-1] for model in tier.models}
    with engine.db.reading() as tx:
        rows = calibrations.standing(tx, tenant=family.tenant, skill_digest=skill.digest, frontier_model=family.model)
    holding = [row for row in rows if row["threshold"] is not None and row["cheap_model"] in below]
    if not any(row["state"] == "live" for row in holding):
        reason = next((row["reason"] for row in rows if row["state"] == "drifted"), "its models are others now")
        _say(engine, family, f"back in shadow: {reason}", state=FamilyState.SHADOW.value, looked=0)
