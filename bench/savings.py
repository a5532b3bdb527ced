"""Whether the saving that a report states is what was saved, for `bench/promises.py`: beside the provider's own ledger.

Jobs as `bench/estimates.py` makes them, of models that count tokens alike. What the top model alone would have cost is
what it bills for the same items when it is asked alone and never fails: one answer for each item and step.
"""

import re
from dataclasses import dataclass

from bench.estimates import Case, Stage, case, deployed
from firstline.orchestrator import api
from firstline.orchestrator.quality import audits
from firstline.orchestrator.reports import baselines
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.tier import Profile

_SHARES = re.compile(r"est-(\d+)-(\d+)-\d+-\d+")


@dataclass(frozen=True)
class Saving:
    """What a report said of a job, and what was saved, both as shares of the top model's cost."""

    case: Case
    said: float
    true: float

    @property
    def apart(self) -> float:
        """How far the one is from the other."""
        return abs(self.said - self.true)


def savings(count: int) -> list[Saving]:
    """Return what was said and saved in so many jobs, one after the other on one deployment."""
    with deployed() as stage:
        return [_measured(_alike(case(number)), stage) for number in range(count)]


def _alike(one: Case) -> Case:
    """Return the case with models that count tokens by the rule of thumb, and whose top one does not fail."""
    *lower, top = one.profile.tiers
    document = Profile(name=one.profile.name, tiers=(*lower, top)).model_dump_json()
    alike = Profile.model_validate_json(_SHARES.sub(r"est-\1-\2-100-0", document))
    *lower, top = alike.tiers
    (model,) = top.models
    sound = top.evolve(models=(model.evolve(name=_SHARES.sub(r"est-100-\2-100-0", model.name)),))
    return Case(one.number, one.shape, one.history, alike.evolve(tiers=(*lower, sound)), one.workflow, one.items)


def _measured(one: Case, stage: Stage) -> Saving:
    before = stage.gateway.billed_usd
    job = stage.run(one)
    paid, before = stage.gateway.billed_usd - before, stage.gateway.billed_usd
    for audit in audits.ask(job):
        audits.compare(audit)
    said = api.report(job).saving
    stage.work(api.submit(baselines.request(one.request(), job, BaselineKind.FRONTIER, one.profile), one.items))
    alone = stage.gateway.billed_usd - before
    return Saving(one, said if said is not None else 0.0, 1 - paid / alone)
