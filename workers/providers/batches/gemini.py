"""Gemini's Batch Mode: requests travel with the making of a batch, answers come with the look at it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Model
from firstline.workers.providers.batches.transport import BatchHttp
from firstline.workers.providers.batches.wire import Progress, Request, Result

_BASE = "https://generativelanguage.googleapis.com"
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
#: gRPC's codes as HTTP statuses (google.rpc.Code).
_STATUSES = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 13: 500, 14: 503, 16: 401}
_PAGE = 100
_MOST_PAGES = 50


@dataclass(frozen=True)
class GeminiBatches:
    """Speaks to `:batchGenerateContent` and `/v1beta/batches`."""

    http: BatchHttp
    most_requests: int = 50_000
    #: Requests that travel inline.
    most_bytes: int = 19_000_000
    bears_marks: bool = True

    async def upload(self, model: Model, requests: Mapping[str, Request], *, mark: str) -> str | None:
        """Upload nothing: the requests travel with the making of the batch."""
        return None

    async def create(self, model: Model, requests: Mapping[str, Request], *, mark: str, uploaded: str | None) -> str:
        """Make a batch that bears our mark as its name."""
        inline: list[Json] = [
            {"request": request.body, "metadata": {"key": name}} for name, request in requests.items()
        ]
        body: JsonObject = {"batch": {"display_name": mark, "input_config": {"requests": {"requests": inline}}}}
        url = f"{_base(model)}/models/{model.name.partition('/')[2]}:batchGenerateContent"
        made = await self.http.send(model, "POST", url, body=body)
        return str(made["name"])

    async def marked(self, model: Model, *, mark: str, requests: int, since: datetime) -> list[str]:
        """Return the batches that bear our mark."""
        found: list[str] = []
        token = ""
        for _ in range(_MOST_PAGES):
            page = await self.http.send(model, "GET", f"{_base(model)}/batches?pageSize={_PAGE}{token}")
            batches = [one for one in page.get("operations") or () if isinstance(one, dict)]  # type: ignore[union-attr]
            found += [str(one["name"]) for one in batches if _of(one).get("displayName") == mark]
            if not page.get("nextPageToken"):
                break
            token = f"&pageToken={page['nextPageToken']}"
        return found

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a batch is; its answers come with it."""
        batch = await self.http.send(model, "GET", f"{_base(model)}/{name}")
        state = str(_of(batch).get("state", "")).rpartition("_STATE_")[2]
        error = batch.get("error")
        problem = str(error.get("message") or error) if isinstance(error, dict) else None
        results = tuple(result for one in _responses(batch) if (result := _result(one)) is not None)
        return Progress(state in _ENDED or batch.get("done") is True, problem=problem, results=results)

    async def cancel(self, model: Model, name: str) -> None:
        """Have the provider answer no more of a batch."""
        await self.http.send(model, "POST", f"{_base(model)}/{name}:cancel")

    async def results(self, model: Model, progress: Progress) -> AsyncIterator[Result]:
        """Yield the answers that came with the look."""
        for result in progress.results:
            yield result


def key_headers(key: str) -> dict[str, str]:
    """Return the headers of every request."""
    return {"x-goog-api-key": key}


def _base(model: Model) -> str:
    return f"{(model.api_base or _BASE).rstrip('/').removesuffix('/v1beta')}/v1beta"


def _of(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = batch.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _responses(batch: Mapping[str, Any]) -> list[Any]:
    """Return the answers, wherever this version of the API puts them."""
    response = batch.get("response")
    found = response.get("inlinedResponses") if isinstance(response, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("inlinedResponses")
    return found if isinstance(found, list) else []


def _result(one: Any) -> Result | None:
    metadata = one.get("metadata") if isinstance(one, Mapping) else None
    name = metadata.get("key") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str):
        return None
    match one:
        case {"response": dict() as body}:
            return Result(name, 200, body)
        case {"error": Mapping() as error}:
            return Result(name, _STATUSES.get(error.get("code", 0), 500), {}, str(error.get("message") or error))
        case _:
            return Result(name)
