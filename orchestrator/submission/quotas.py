"""What a tenant may have at work at once: jobs, and the items of these."""

import math

from sqlalchemy import Connection

from firstline.config.settings import Settings
from firstline.orchestrator.store import jobs as job_store
from firstline.schemas.access import Role
from firstline.schemas.errors import OverQuotaError
from firstline.schemas.job import JobRequest


def room_of(tx: Connection, *, request: JobRequest, settings: Settings) -> float:
    """Return how many items a tenant's next job may have (infinity: any number); OverQuotaError: it may have no job.

    Whoever may do everything is bound by nothing. Two that submit in the same moment may come to one job more.
    """
    if request.role is Role.ADMIN or settings.tenant_jobs is settings.tenant_items is None:
        return math.inf
    jobs, items = job_store.at_work(tx, tenant=request.options.tenant)
    if settings.tenant_jobs is not None and jobs >= settings.tenant_jobs:
        raise OverQuotaError(
            f"tenant '{request.options.tenant}' has {jobs:,} jobs that have not ended, as many as it may have at once "
            "(FIRSTLINE_TENANT_JOBS); wait until one ends, or cancel one"
        )
    return math.inf if settings.tenant_items is None else max(0, settings.tenant_items - items)


def too_many_items(room: float) -> OverQuotaError:
    """Return what is said of items beyond a tenant's room."""
    return OverQuotaError(
        f"expected at most {room:,.0f} items, as many as the tenant may still have at work at once "
        "(FIRSTLINE_TENANT_ITEMS); wait until a job ends, or hand in fewer"
    )
