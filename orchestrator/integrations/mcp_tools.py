"""The MCP server (Model Context Protocol): jobs submitted, watched, fetched and cancelled as tools of a model."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field, ValidationError

from firstline.config.errors.error_messages import dotted, sentence
from firstline.orchestrator import api
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.offered import Offers, offers
from firstline.orchestrator.web.access import Visitor, find_job
from firstline.orchestrator.web.api.submission import JobOrder, submit
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.schemas.access import Role
from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.errors import FirstlineError
from firstline.schemas.job import ItemResult, JobState, JobStatus
from firstline.schemas.report import Report

#: Where the HTTP gate leaves who asks.
VISITOR = "firstline.visitor"
_PAGE_CHARS = 60_000
_POLL_S = 0.2
_INSTRUCTIONS = """
Firstline answers many small questions cheap-first: a cheap model answers, every answer is checked, and what fails a
check climbs to a stronger model. Work is a job: a workflow (or skill) by name, and items, one mapping each.
1. `list_workflows` says which workflows there are and which fields their items need.
2. `submit` starts a job and returns at once with its id. Put all items of one kind of work into one job.
3. `status` with `wait_s` waits for it.
4. `results` pages through the answers; `report` says what the job cost and saved.
""".strip()
_READS = ToolAnnotations(read_only_hint=True)

Job = Annotated[str, Field(description="The job's id, as `submit` returned it.", pattern=r"^[0-9A-Za-z-]{1,40}$")]


class Page(Frozen):
    """Some of a job's results, in the order of its items."""

    state: JobState
    items: int
    results: tuple[ItemResult, ...]
    #: Give it as `skip` for the next page; None: this is the last one.
    next_skip: int | None


@dataclass(frozen=True)
class Desk:
    """The tools, as methods."""

    #: Who asks where no HTTP request says so (standard input and output); None: nobody does.
    local: Visitor | None

    def list_workflows(self, ctx: Context) -> Offers:
        """List the workflows and skills that a job may name, the fields their items need, and the ladders of models."""
        return offers(current_catalogue(self._visitor(ctx, Role.VIEWER).tenant))

    def submit(
        self,
        ctx: Context,
        *,
        workflow: Annotated[
            str | None, Field(description="Name of a workflow or skill, from `list_workflows`; leave out with a goal.")
        ] = None,
        items: Annotated[
            list[JsonObject] | None,
            Field(description="One mapping per question, with the workflow's fields; `id` is optional and unique."),
        ] = None,
        goal: Annotated[
            str | None, Field(description="Instead of a workflow: what is wanted, in plain words; a model plans it.")
        ] = None,
        name: Annotated[str | None, Field(description="What people see in lists of jobs.")] = None,
        profile: Annotated[str | None, Field(description="Ladder of models; the default one when missing.")] = None,
        budget_usd: Annotated[
            float | None, Field(description="Dollars before which the job pauses; none when missing.", gt=0)
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Field(description="The same key again returns the first job and submits nothing.", max_length=120),
        ] = None,
    ) -> JobStatus:
        """Start a job and return at once how it stands; its id is in `job`. It costs money: one job, many items."""
        visitor = self._visitor(ctx, Role.SUBMITTER)
        order = JobOrder(workflow=workflow, goal=goal, name=name, profile=profile, budget_usd=budget_usd)
        with as_file(items or ()) as source:
            return submit(order, source, visitor, key=idempotency_key)

    def status(
        self,
        ctx: Context,
        job: Job,
        wait_s: Annotated[float, Field(description="Seconds to wait for the job's end, at most 50.", ge=0, le=50)] = 0,
    ) -> JobStatus:
        """Say how a job stands: state, items settled and failed, dollars. `review` items wait for a person."""
        find_job(job, self._visitor(ctx, Role.VIEWER))
        deadline_s = time.monotonic() + wait_s
        said = api.status(job)
        while not said.rests and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            said = api.status(job)
        return said

    def results(
        self,
        ctx: Context,
        job: Job,
        skip: Annotated[int, Field(description="`next_skip` of the page before.", ge=0)] = 0,
        limit: Annotated[int, Field(description="At most so many results.", ge=1, le=500)] = 50,
    ) -> Page:
        """Return a page of a job's results in the order of its items, also while it runs; `output` is the answer."""
        find_job(job, self._visitor(ctx, Role.VIEWER))
        status = api.status(job)
        found = tuple(_bounded(api.results(job, skip=skip), limit))
        end = skip + len(found)
        return Page(
            state=status.state, items=status.items, results=found, next_skip=end if end < status.items else None
        )

    def report(self, ctx: Context, job: Job) -> Report:
        """Say what a job cost beside an all-frontier run, how much climbed, each model's errors, and what failed."""
        find_job(job, self._visitor(ctx, Role.VIEWER))
        return api.report(job)

    def cancel(self, ctx: Context, job: Job) -> JobStatus:
        """End a job; what has settled stays, running calls are cancelled within seconds."""
        find_job(job, self._visitor(ctx, Role.OPERATOR))
        api.cancel(job)
        return api.status(job)

    def _visitor(self, ctx: Context, role: Role) -> Visitor:
        request = ctx.request_context.request
        visitor = self.local if request is None else request.scope.get(VISITOR)
        if visitor is None:
            raise ToolError("nobody is known to ask; the server is set up wrongly")
        visitor.require(role)
        return visitor


class Server(MCPServer):
    """Tells the model what was wrong with a call in a sentence."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context | None = None) -> Any:
        """Call a tool by name. ToolError: the arguments, or what they name, will not do."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            match error.__cause__:
                case ValidationError() as wrong:
                    said = "; ".join(f"{dotted(one['loc'])}: {sentence(one)}" for one in wrong.errors())
                    raise ToolError(said) from wrong
                case FirstlineError() as told:
                    raise ToolError(str(told)) from None
                case _:
                    raise


def make_server(*, local: Visitor | None) -> Server:
    """Return the server; `local` is who asks over standard input and output."""
    desk = Desk(local)
    server = Server("firstline", title="Firstline", instructions=_INSTRUCTIONS)
    for tool in (desk.list_workflows, desk.status, desk.results, desk.report):
        server.add_tool(tool, annotations=_READS)
    server.add_tool(desk.submit, annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False))
    server.add_tool(desk.cancel, annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True))

    @server.resource(
        "firstline://workflows", mime_type="application/json", description="What a job may name, as `list_workflows`."
    )
    def workflows() -> str:
        return offers(current_catalogue(None)).model_dump_json(indent=2)

    return server


def _bounded(results: Iterator[ItemResult], limit: int) -> Iterator[ItemResult]:
    """Yield up to `limit` results, at least one, and no more than a model's context should take at once."""
    chars = 0
    for count, result in enumerate(results):
        chars += len(result.model_dump_json())
        if count == limit or (count and chars > _PAGE_CHARS):
            return
        yield result
