"""What the top tier alone would have cost: one answer an item and step, and nothing else."""

from collections.abc import Iterable

from sqlalchemy import RowMapping

from firstline.config.providers.prices import Terms, price_of
from firstline.schemas.attempt import Usage
from firstline.schemas.plan import Plan
from firstline.schemas.tier import Profile
from firstline.workers.rules.pricing import dollars


def frontier_alone(rows: Iterable[RowMapping], plan: Plan | None, profile: Profile) -> float | None:
    """Return the dollars of one answer for each item and step at the price of the top tier; None: it has no price.

    `rows`: of one job, by `store.job_figures.answers_once`. Reviewers, plans, second rounds and feedback are not in it,
    nor what the response cache answered.
    """
    model = profile.ladder[-1].models[0]
    # The top tier alone needs nobody to steer, and nobody to look at what cheap models have answered.
    steering = {planned.step.name for planned in plan.steps if planned.step.kind.steers} if plan else set()
    costs: list[float] = []
    for row in rows:
        if row["step"] in steering:
            continue
        price = price_of(model, Terms(prompt_tokens=row["input_tokens"] // row["answers"]))
        usage = Usage(
            input_tokens=row["input_tokens"], cached_tokens=row["cached_tokens"], output_tokens=row["output_tokens"]
        )
        usd = None if price is None else dollars(usage, price)
        if usd is None:
            return None
        costs.append(usd)
    return sum(costs) if costs else None
