"""Anthropic's Message Batches: requests travel with the making of a batch, answers come as lines from a URL."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model
from firstline.workers.providers.batches.lines import read_lines
from firstline.workers.providers.batches.transport import BatchHttp
from firstline.workers.providers.batches.wire import Progress, Request, Result

_BASE = "https://api.anthropic.com"
#: Header that turns on what a request asks for.
BETA = "anthropic-beta"
#: HTTP statuses of the kinds of errors that a line may name.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}
_PAGE = 100
_MOST_PAGES = 50
_DRIFT = timedelta(minutes=5)


@dataclass(frozen=True)
class AnthropicBatches:
    """Speaks to `/v1/messages/batches`."""

    http: BatchHttp
    most_requests: int = 100_000
    most_bytes: int = 250_000_000
    bears_marks: bool = False

    async def upload(self, model: Model, requests: Mapping[str, Request], *, mark: str) -> str | None:
        """Upload nothing: the requests travel with the making of the batch."""
        return None

    async def create(self, model: Model, requests: Mapping[str, Request], *, mark: str, uploaded: str | None) -> str:
        """Make a batch; it can bear no mark, but each of its requests bears our id."""
        body: JsonObject = {
            "requests": [{"custom_id": name, "params": request.body} for name, request in requests.items()]
        }
        betas = sorted(
            {beta for one in requests.values() for beta in one.headers.get(BETA, "").split(",") if beta.strip()}
        )
        made = await self.http.send(
            model, "POST", _url(model), body=body, headers={BETA: ",".join(betas)} if betas else {}
        )
        return str(made["id"])

    async def marked(self, model: Model, *, mark: str, requests: int, since: datetime) -> list[str]:
        """Return the batches made since then with as many requests: which one is ours shows in its answers."""
        found: list[str] = []
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self.http.send(model, "GET", f"{_url(model)}?limit={_PAGE}{after}")
            batches = [one for one in _list(page.get("data")) if isinstance(one, dict)]
            recent = [one for one in batches if _made(one) is None or _made(one) >= since - _DRIFT]  # type: ignore[operator]
            found += [str(one["id"]) for one in recent if _count(one) == requests]
            if len(recent) < len(batches) or not page.get("has_more"):
                break
            after = f"&after_id={page.get('last_id')}"
        return found

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a batch is, and the URL of its answers."""
        batch = await self.http.send(model, "GET", f"{_url(model)}/{name}")
        url = batch.get("results_url")
        return Progress(batch.get("processing_status") == "ended", (url,) if isinstance(url, str) else ())

    async def cancel(self, model: Model, name: str) -> None:
        """Have the provider answer no more of a batch."""
        await self.http.send(model, "POST", f"{_url(model)}/{name}/cancel")

    async def results(self, model: Model, progress: Progress) -> AsyncIterator[Result]:
        """Yield the lines of the answers."""
        for url in progress.places:
            response = await self.http.fetch(model, "GET", url)
            for line in read_lines(response.content):
                if (result := _result(line)) is not None:
                    yield result


def key_headers(key: str) -> dict[str, str]:
    """Return the headers of every request."""
    return {"x-api-key": key, "anthropic-version": "2023-06-01"}


def _url(model: Model) -> str:
    base = (model.api_base or _BASE).rstrip("/").removesuffix("/messages").removesuffix("/v1")
    return f"{base}/v1/messages/batches"


def _result(line: Mapping[str, Any]) -> Result | None:
    name, result = line.get("custom_id"), line.get("result")
    if not isinstance(name, str) or not isinstance(result, Mapping):
        return None
    match result:
        case {"type": "succeeded", "message": dict() as message}:
            return Result(name, 200, message)
        case {"type": "errored", "error": Mapping() as error}:
            inner = error.get("error")
            told = inner if isinstance(inner, Mapping) else error
            return Result(name, _STATUSES.get(str(told.get("type")), 500), {}, str(told.get("message") or told))
        case _:
            return Result(name)


def _made(batch: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(batch.get("created_at")))
    except ValueError:
        return None


def _count(batch: Mapping[str, Any]) -> int:
    counts = batch.get("request_counts")
    return sum(count for count in counts.values() if isinstance(count, int)) if isinstance(counts, dict) else -1


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
