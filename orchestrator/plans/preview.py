"""How a workflow would be done: its plan, before anything is submitted."""

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.thresholds import known_thresholds
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest
from firstline.schemas.plan import Plan, Workflow


def preview(request: JobRequest) -> Plan:
    """Return the plan that a job of this request would have; UserError for a goal, whose plan a model has to write."""
    if not isinstance(request.workflow, Workflow) or request.profile is None:
        raise UserError(
            "the plan of a goal is written by a model, as a part of the job: submit it with `approve: true`, and it "
            "waits for your yes"
        )
    with api.engine().db.writing() as tx:
        return compile_plan(
            request.workflow,
            catalogue=load_catalogue(),
            profile=request.profile,
            tiers=request.options.tiers,
            thresholds=known_thresholds(tx, profile=request.profile),
        )
