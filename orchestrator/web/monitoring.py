"""What watches a deployment asks for: `/metrics` for Prometheus, `/v1/scaling` for autoscalers."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import choose_encoder

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.monitoring.deployment import Deployment, deployment
from firstline.orchestrator.monitoring.snapshot import Lookout
from firstline.orchestrator.web.access import watching
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.metrics import Deployment as Metrics
from firstline.orchestrator.web.problem import documented
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.scaling import Scaling
from firstline.schemas.tier import Profile

router = APIRouter(tags=["service"], dependencies=[Depends(watching)], responses=documented())

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def _own_profile() -> Profile | None:
    try:
        return current_catalogue(None).profile(get_settings().profile)
    except UserError:
        return None


def make_lookout() -> Lookout:
    """Return what takes snapshots of this process's deployment."""
    return Lookout(api.engine, _own_profile)


def _lookout(request: Request) -> Lookout:
    lookout = request.app.state.lookout
    assert isinstance(lookout, Lookout)
    return lookout


@router.get("/metrics", responses=_TEXT, response_class=Response, summary="Metrics of the whole deployment")
def get_metrics(request: Request) -> Response:
    """Answer in the format that the scraper asks for: Prometheus' text, or OpenMetrics."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(Metrics(_lookout(request).look())), media_type=media_type)


@router.get("/v1/workers", summary="Processes, queues and models")
def get_workers(request: Request) -> Deployment:
    """Return the worker processes, what waits in which queue, and the models with cool-downs and limits in use."""
    return without_jobs(deployment_now(request))


def deployment_now(request: Request) -> Deployment:
    """Return how this process's deployment stands."""
    return deployment(api.engine(), _lookout(request), _own_profile())


def without_jobs(found: Deployment) -> Deployment:
    """Return it for those who may not know of every tenant's jobs."""
    return found.evolve(workers=tuple(worker.evolve(jobs=()) for worker in found.workers))


@router.get("/v1/scaling", summary="How busy the workers of each tier are")
def get_scaling(request: Request) -> Scaling:
    """Return each tier's load, and how many workers would hold it."""
    snapshot = _lookout(request).look()
    if snapshot.sql is None or snapshot.redis is None:
        raise InfrastructureError("the database or Redis does not answer, so that the load is unknown")
    return Scaling(tiers=dict(snapshot.sql.loads))
