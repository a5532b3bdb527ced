"""The Batch API in OpenAI's shape: a file of requests in, files of answers out; through litellm, which knows others."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model
from firstline.workers.providers.batches.lines import read_lines, write_lines
from firstline.workers.providers.batches.wire import MOST_BYTES, BatchError, Progress, Request, Result
from firstline.workers.providers.gateway import Reply
from firstline.workers.providers.wire import listening

_ENDPOINT = "/v1/chat/completions"
#: Name under which our mark stands in a batch's metadata, so that it is found again.
_MARK = "firstline_batch"
_ENDED = frozenset({"completed", "expired", "failed", "cancelled"})
_PAGE = 100
#: Pages of batches that are looked through for one of ours.
_MOST_PAGES = 50
#: Clocks of providers may differ from ours.
_DRIFT = timedelta(minutes=5)


@dataclass(frozen=True)
class OpenAIBatches:
    """Calls litellm's file and batch functions."""

    litellm: Any
    key_of: Callable[[Model], str | None]
    #: Returns the reply that an error amounts to.
    failed: Callable[[Exception, Model], Reply]
    most_requests: int = 50_000
    most_bytes: int = 200_000_000
    bears_marks: bool = True

    async def upload(self, model: Model, requests: Mapping[str, Request], *, mark: str) -> str | None:
        """Upload the requests as a file; return its id."""
        content = write_lines(
            {"custom_id": name, "method": "POST", "url": _ENDPOINT, "body": request.body}
            for name, request in requests.items()
        )
        file = (f"{mark}.jsonl", BytesIO(content), "application/jsonl")
        made = await self._do(model, self.litellm.acreate_file, file=file, purpose="batch")
        return str(made.id)

    async def create(self, model: Model, requests: Mapping[str, Request], *, mark: str, uploaded: str | None) -> str:
        """Make a batch of an uploaded file."""
        made = await self._do(
            model,
            self.litellm.acreate_batch,
            completion_window="24h",
            endpoint=_ENDPOINT,
            input_file_id=uploaded,
            metadata={_MARK: mark},
        )
        return str(made.id)

    async def marked(self, model: Model, *, mark: str, requests: int, since: datetime) -> list[str]:
        """Return the batches whose metadata bears our mark, newest first."""
        found: list[str] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._do(model, self.litellm.alist_batches, limit=_PAGE, after=after)
            batches = list(getattr(page, "data", None) or ())
            found += [str(one.id) for one in batches if (getattr(one, "metadata", None) or {}).get(_MARK) == mark]
            if not batches or not getattr(page, "has_more", False) or _is_before(batches[-1], since - _DRIFT):
                break
            after = str(batches[-1].id)
        return found

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a batch is, and its files."""
        batch = await self._do(model, self.litellm.aretrieve_batch, batch_id=name)
        files = tuple(str(file) for file in (batch.output_file_id, batch.error_file_id) if file)
        return Progress(str(batch.status) in _ENDED, files, _problem(batch))

    async def cancel(self, model: Model, name: str) -> None:
        """Have the provider answer no more of a batch."""
        await self._do(model, self.litellm.acancel_batch, batch_id=name)

    async def results(self, model: Model, progress: Progress) -> AsyncIterator[Result]:
        """Yield the lines of the files of answers and of failures."""
        for file in progress.places:
            content = await self._do(model, self.litellm.afile_content, file_id=file)
            for line in read_lines(content.content):
                if (result := _result(line)) is not None:
                    yield result

    async def _do(self, model: Model, act: Callable[..., Any], **arguments: Any) -> Any:
        key = self.key_of(model)
        if key is None and model.api_key_env is not None:
            detail = f"no key: expected it in the environment variable {model.api_key_env} of the workers"
            raise BatchError(Reply(error=ErrorKind.NO_KEY, detail=detail))
        place = {"api_base": model.api_base, "api_key": key or ("none" if model.api_base else None)}
        given = {name: value for name, value in {**place, **arguments}.items() if value is not None}
        with listening(most_bytes=MOST_BYTES) as heard:
            try:
                return await act(custom_llm_provider=model.name.partition("/")[0], **given)
            except Exception as error:
                cut = Reply(error=ErrorKind.MALFORMED, detail=f"the answer is longer than {MOST_BYTES / 2**20:g} MB")
                raise BatchError(cut if heard.is_cut else self.failed(error, model)) from None


def _result(line: Mapping[str, Any]) -> Result | None:
    name, response = line.get("custom_id"), line.get("response")
    if not isinstance(name, str):
        return None
    if not isinstance(response, Mapping):
        return Result(name)
    body, status = response.get("body"), response.get("status_code")
    body = body if isinstance(body, dict) else {}
    if not isinstance(status, int):
        return Result(name)
    error = body.get("error")
    message = error.get("message") if isinstance(error, Mapping) else error
    return Result(name, status, body, str(message or f"HTTP status {status}"))


def _problem(batch: Any) -> str | None:
    errors = getattr(getattr(batch, "errors", None), "data", None) or ()
    return next((str(getattr(error, "message", error)) for error in errors), None)


def _is_before(batch: Any, when: datetime) -> bool:
    made = getattr(batch, "created_at", None)
    return isinstance(made, int | float) and datetime.fromtimestamp(made, UTC) < when
