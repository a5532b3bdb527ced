"""Who may have how much of a tier when several jobs want it: tenants share alike, their jobs by priority."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstline.schemas.job import Priority

#: What a job of a priority counts against the others of its tenant.
WEIGHTS = {Priority.HIGH: 4, Priority.NORMAL: 2, Priority.LOW: 1}


@dataclass(frozen=True, slots=True)
class Claimant:
    """A running job that has work to send or under way."""

    job: str
    tenant: str
    priority: Priority


def share(job: str, claimants: Sequence[Claimant]) -> float:
    """Return a job's share of the pools, in 0..1: weighted fair sharing in two levels, tenants first.

    Shares of all claimants sum to 1. A job that is not among them gets everything: nobody competes.
    """
    mine = next((one for one in claimants if one.job == job), None)
    if mine is None:
        return 1.0
    tenants = {one.tenant for one in claimants}
    rivals = sum(WEIGHTS[one.priority] for one in claimants if one.tenant == mine.tenant)
    return WEIGHTS[mine.priority] / rivals / len(tenants)
