"""What tiers came to with a skill, model by model, read back as far as it counts, and the route that follows."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, RowMapping

from firstline.config.providers.prices import price_of
from firstline.orchestrator.money.cost_model import Finding, Record, TierRecords, Tries, rerouted, weigh
from firstline.orchestrator.store import outcomes
from firstline.schemas.attempt import Usage
from firstline.schemas.plan import PlannedStep, Route
from firstline.schemas.tier import Model, Tier
from firstline.workers.rules.pricing import dollars

#: Subtasks of a tier that are looked back on: what it came to of late.
LOOKED_BACK = 200
#: Jobs that people asked for; all others were asked to measure.
IN_EARNEST = ("run",)


def recent(
    tx: Connection, *, tenant: str, digest: str, tier: Tier, purposes: Collection[str] = IN_EARNEST
) -> list[RowMapping]:
    """Return what a tier's models came to with a skill's version, as far back as counts."""
    return [
        row
        for model in tier.models
        for row in outcomes.recent(
            tx, tenant=tenant, skill_digest=digest, model=model.name, rows=LOOKED_BACK, purposes=purposes
        )
    ]


def measured_of(rows: Iterable[RowMapping]) -> TierRecords:
    """Add up a tier's outcomes, the newest first, until enough subtasks of each kind are seen."""
    sums = {False: Record(), True: Record()}
    for row in rows:
        record = sums[bool(row["climbed"])]
        if record.first.asked < LOOKED_BACK:
            sums[bool(row["climbed"])] = record + Record(
                Tries(row["asked"], row["accepted"], row["usd"]),
                Tries(row["again_asked"], row["again_accepted"], row["again_usd"]),
            )
    return TierRecords(sums[False], sums[True])


def weighed(
    tx: Connection, planned: PlannedStep, *, tenant: str, digest: str, tiers: Sequence[Tier]
) -> tuple[Route, list[Finding]]:
    """Return the route that a step's subtasks take by what its tiers came to of late, and what was found."""
    rows = {tier.name: recent(tx, tenant=tenant, digest=digest, tier=tier) for tier in tiers}
    names = [tier.name for tier in tiers]
    found = weigh(
        names[names.index(planned.start_tier) :],
        {name: measured_of(seen) for name, seen in rows.items()},
        top_usd=top_usd(tiers[-1].models[0], rows[planned.start_tier]),
        route=planned.route,
        pinned=[planned.policy.start] if planned.policy.start else [],
    )
    return rerouted(planned.route, found), found


def top_usd(model: Model, rows: Sequence[RowMapping]) -> float | None:
    """Return what a model would take for calls that others made: their tokens at its price; None: unknown."""
    asked = sum(row["asked"] for row in rows)
    price = price_of(model)
    if not asked or price is None:
        return None
    tokens = [sum(row[name] for row in rows) for name in ("input_tokens", "output_tokens")]
    total = dollars(Usage(input_tokens=tokens[0], cached_tokens=0, output_tokens=tokens[1]), price)
    return None if total is None else total / asked
