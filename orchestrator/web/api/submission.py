"""What a request for a new job holds, and how it becomes one."""

import hashlib
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from shutil import copyfileobj
from typing import Annotated, BinaryIO

from pydantic import Field, GetPydanticSchema, model_validator
from pydantic_core import core_schema

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.worker_requirements import refuse_services
from firstline.orchestrator.money.job_estimate import keep
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.submission.input_fit import InputFit, mapped
from firstline.orchestrator.submission.item_fields import needs
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.item_reader import InputItem, read_items
from firstline.orchestrator.submission.run_request import Order
from firstline.orchestrator.submission.table_items import PACKED_ENDINGS, unpacked
from firstline.orchestrator.web.access import Visitor, find_job
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.json_body import MAY_BE_FILE, MOST_ITEMS
from firstline.orchestrator.web.parameters import NAME, plain_name
from firstline.orchestrator.web.places import in_turns
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.unsafe import refuse_unsafe
from firstline.schemas.base import Frozen, JsonObject, digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, JobStatus, Moment, Options, Priority
from firstline.schemas.plan import Workflow

_Tier = Annotated[str, Field(pattern=NAME)]
#: Read from JSON, an object holds nothing else: only that it is one is looked at, as there may be 100,000 of them.
_Item = Annotated[
    JsonObject,
    GetPydanticSchema(lambda kind, of: core_schema.json_or_python_schema(of(kind), core_schema.dict_schema())),
]


#: So many of the first items of a former job are taken.
FORMER_ROWS = 20_000


class JobOrder(Frozen):
    """A job to be done, without its items."""

    #: Name of a workflow or skill of the catalogue.
    workflow: str | None = Field(default=None, pattern=NAME, description="Name of a workflow or skill.")
    goal: str | None = Field(default=None, min_length=1, max_length=20_000, description="What is wanted, in words.")
    name: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")
    profile: str | None = Field(default=None, pattern=NAME, description="Name of the ladder of models.")
    budget_usd: float | None = Field(default=None, gt=0, le=1e9, description="The job pauses before it exceeds this.")
    priority: Priority = Priority.NORMAL
    deadline: Moment | None = None
    tenant: str | None = Field(default=None, pattern=NAME, description="Only an administrator may name another.")
    cache: bool = False
    dedupe: bool = True
    tiers: tuple[_Tier, ...] = Field(default=(), max_length=20, description="Only these tiers of the ladder.")
    webhook_url: str | None = Field(default=None, max_length=2000, description="Told when the job comes to rest.")
    approve: bool = Field(default=False, description="Wait for a person's yes to the plan of a goal.")
    tools: tuple[str, ...] = Field(
        default=(), max_length=50, description="Tools that a planner may choose; each has to be granted."
    )
    id_field: str | None = Field(default=None, max_length=200, description="Field with each item's id; `id`.")
    map: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="Field that the workflow reads -> item field it is taken from.",
    )

    @model_validator(mode="before")
    @classmethod
    def _options_may_nest(cls, data: object) -> object:
        """Take what Python nests under `options` from there too; UserError where a field stands in both places."""
        if not isinstance(data, dict) or not isinstance(data.get("options"), dict):
            return data
        nested = data["options"]
        if twice := sorted(nested.keys() & data.keys()):
            raise ValueError(f"`{twice[0]}` stands twice: by itself and in `options`; keep one")
        return {**{name: value for name, value in data.items() if name != "options"}, **nested}


class JobBody(JobOrder):
    """A job with its items in the request."""

    workflow: str | Workflow | None = Field(  # type: ignore[assignment]
        default=None, description="Name of a workflow or skill, or a workflow itself."
    )
    items: Annotated[tuple[_Item, ...], Field(max_length=MOST_ITEMS), MAY_BE_FILE] = Field(
        default=(), description="The items; none for a goal."
    )


def request_of(order: JobOrder, visitor: Visitor, *, key: str | None) -> JobRequest:
    """Return the request for a job; UserError, Refusal: names that are paths, another's tenant, unsafe workflows."""
    if (order.workflow is None) == (order.goal is None):
        came = "neither" if order.goal is None else "both"
        raise UserError(f"expected `workflow` (a name or steps) or `goal` (plain words), got {came}")
    tenant = order.tenant or visitor.tenant
    if visitor.sees not in (None, tenant):
        raise Refusal(HTTPStatus.FORBIDDEN, f"the token belongs to tenant '{visitor.tenant}', not to '{tenant}'")
    catalogue = current_catalogue(tenant)
    profile = catalogue.profile(plain_name(order.profile or get_settings().profile))
    refuse_services(profile)
    shared = order.model_dump(include=set(Options.model_fields) - {"profile", "tenant"})
    return JobRequest(
        workflow=_workflow(order.workflow, catalogue, visitor) if order.workflow is not None else None,
        goal=order.goal,
        name=order.name,
        profile=profile,
        options=Options(profile=profile.name, tenant=tenant, **shared),
        # Two tenants may choose the same key.
        idempotency_key=f"{tenant}:{key}" if key is not None else None,
        role=visitor.role,
    )


def _workflow(given: str | Workflow, catalogue: Catalogue, visitor: Visitor) -> Workflow:
    if isinstance(given, str):
        return catalogue.workflow(plain_name(given))
    refuse_unsafe(given, visitor)
    flaws = catalogue.flaws(given)
    if flaws:
        raise UserError("\n".join(f"workflow: {flaw.where}: {flaw.text}" for flaw in flaws))
    return given


def submit(order: JobOrder, source: Path | None, visitor: Visitor, *, key: str | None) -> JobStatus:
    """Write the job with the items of a file (None: a goal is an item of its own) and return how it stands."""
    request = request_of(order, visitor, key=key)
    refuse_misfit(request, source, order)
    asked = order.model_dump(mode="json", include=set(JobBody.model_fields) - {"items"})
    body = digest([asked, None if source is None else sha256_of(source)])
    job = api.submit(request, _items(request, source, order), body=body)
    keep(api.engine(), job)
    return api.status(job)


def with_items(order: JobOrder, source: Path, visitor: Visitor) -> Order:
    """Return an order with the items of a file; UserError, Refusal: as for a job that is submitted."""
    request = request_of(order, visitor, key=None)
    assert request.profile is not None
    functions = current_catalogue(request.options.tenant).functions
    name = "the input"
    return Order(
        request, request.profile, str(source), name, id_field=order.id_field, map=order.map, functions=functions
    )


@contextmanager
def former_rows(job: str, visitor: Visitor) -> Iterator[Path]:
    """Yield the first items of a former job as a file; Refusal: there is none that the visitor may see."""
    with api.engine().db.reading() as tx:
        rows = item_lists.items(tx, job=find_job(job, visitor), limit=FORMER_ROWS)
    with as_file([{"id": row["item_id"], **row["input"]} for row in rows]) as source:
        if source is None:
            raise UserError(f"job {job} has no items")
        yield source


def sha256_of(path: Path) -> str:
    """Return the digest of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_misfit(request: JobRequest, source: Path | None, order: JobOrder) -> InputFit | None:
    """Return how the items of a file fit what the workflow reads; UserError where not one does. None: no workflow."""
    if source is None or not isinstance(request.workflow, Workflow):
        return None
    fit = InputFit(
        needs(request.workflow, current_catalogue(request.options.tenant).parts(request.workflow).skills), order.map
    )
    deque(fit.watch(_items(request, source, order)), maxlen=0)
    fit.refuse_misfit("the input")
    return fit


def _items(request: JobRequest, source: Path | None, order: JobOrder) -> Iterator[InputItem]:
    if source is not None:
        return in_turns(mapped(read_items(source, id_field=order.id_field), order.map))
    if request.goal is None:
        raise UserError("no items: give them as `items`, or upload a file to /v1/jobs/upload")
    return iter([InputItem("1", {"goal": request.goal})])


@contextmanager
def as_named_file(stream: BinaryIO, name: str) -> Iterator[Path]:
    """Yield an uploaded file, unpacked, under a name with its own ending, which tells CSV from JSONL.

    UserError where it is larger unpacked than an upload may be.
    """
    packing = Path(name).suffix.lower() in PACKED_ENDINGS
    suffix = Path(Path(name).stem if packing else name).suffix.lower()
    suffix = suffix if suffix in (".csv", ".tsv", ".jsonl", ".ndjson", ".json") else ""
    with tempfile.TemporaryDirectory(prefix="firstline-") as folder:
        path = Path(folder) / f"items{suffix}"
        most_bytes = get_settings().api_max_upload_mb * 1e6
        with path.open("wb") as file, unpacked(stream, name or "the file", most_bytes=most_bytes) as plain:
            copyfileobj(plain, file, 1 << 20)
        yield path
