"""What a plain Celery producer sends as `firstline.submit`, and how it becomes a job."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.yaml_file import is_path
from firstline.config.errors.error_messages import dotted, sentence
from firstline.config.queues.task import Discreet
from firstline.orchestrator import api
from firstline.orchestrator.core.worker_requirements import refuse_services
from firstline.orchestrator.submission.item_file import as_file
from firstline.orchestrator.submission.item_reader import InputItem, read_items
from firstline.schemas.access import Role
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest

_ITEMS = TypeAdapter(list[JsonObject])


class Unread(Discreet):
    """A message whose arguments others wrote: monitors such as Flower are shown none of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._argsrepr = self._kwargsrepr = ""


def submit_message(request: object, items: object, *, message: str) -> str:
    """Submit the job that a message asks for and return its id; a message delivered twice is one job.

    `request` is a `JobRequest` as JSON. UserError: anything in it that will not do, in a sentence.
    """
    wanted = _request(request, message=message)
    given = _items(items)
    with as_file(given) as source:
        if source is not None:
            return api.submit(wanted, list(read_items(source)))
        if wanted.goal is None:
            raise UserError("no items: give them as `items`, a list of mappings")
        return api.submit(wanted, [InputItem("1", {"goal": wanted.goal})])


def _request(given: object, *, message: str) -> JobRequest:
    try:
        request = JobRequest.model_validate(given)
    except ValidationError as error:
        raise UserError(_told("request", error)) from None
    for name in (request.workflow, request.options.profile):
        if isinstance(name, str) and is_path(name):
            raise UserError(f"expected a name of the orchestrators' catalogue, got the path '{name}'")
    profile = load_catalogue(tenant=request.options.tenant).profile_of(request)
    refuse_services(profile)
    # As over HTTP: two tenants may choose the same key.
    key = f"{request.options.tenant}:{request.idempotency_key}" if request.idempotency_key else f"message:{message}"
    # Whoever may send messages is no administrator by that.
    return request.evolve(profile=profile, idempotency_key=key, role=Role.SUBMITTER)


def _items(given: object) -> list[JsonObject]:
    try:
        return _ITEMS.validate_python(given)
    except ValidationError as error:
        raise UserError(_told("items", error)) from None


def _told(what: str, error: ValidationError) -> str:
    return "; ".join(f"{dotted((what, *one['loc']))}: {sentence(one, show=False)}" for one in error.errors()[:5])
