"""What a tenant may have at work at once: jobs, and the items of these."""

import math

from sqlalchemy import Connection

from firstline.config.settings import Settings
from firstline.orchestrator.store import jobs as job_store
from firstline.schemas.access import Role
from firstline.schemas.errors import OverQuotaError
from firstline.schemas.job import JobRequest


def refuse_another(tx: Connection, *, request: JobRequest, settings: Settings) -> None:
    """Raise an OverQuotaError where a tenant has as many jobs at work as it may.

    Whoever may do everything is bound by nothing. Two that submit in the same moment may come to one job more.
    """
    most = settings.tenant_jobs
    if most is None or request.role is Role.ADMIN:
        return
    jobs, _ = job_store.at_work(tx, tenant=request.options.tenant)
    if jobs >= most:
        raise OverQuotaError(
            f"tenant '{request.options.tenant}' has {jobs:,} jobs that have not ended, as many as it may have at once "
            "(FIRSTLINE_TENANT_JOBS); wait until one ends, or cancel one"
        )


def room_for_items(tx: Connection, *, request: JobRequest, settings: Settings) -> float:
    """Return how many items a tenant's next job may have; infinity: any number."""
    if settings.tenant_items is None or request.role is Role.ADMIN:
        return math.inf
    _, items = job_store.at_work(tx, tenant=request.options.tenant)
    return max(0, settings.tenant_items - items)


def too_many_items(room: float) -> OverQuotaError:
    """Return what is said of items beyond a tenant's room."""
    return OverQuotaError(
        f"expected at most {room:,.0f} items, as many as the tenant may still have at work at once "
        "(FIRSTLINE_TENANT_ITEMS); wait until a job ends, or hand in fewer"
    )
