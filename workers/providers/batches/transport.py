"""Plain HTTP to a provider's Batch API, its errors as replies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model
from firstline.workers.providers.batches.wire import MOST_BYTES, BatchError
from firstline.workers.providers.body_bounds import ACCEPTED, bounding
from firstline.workers.providers.gateway import Reply
from firstline.workers.providers.provider_errors import failure_of, readable

#: Seconds for one request: the largest carry a few hundred megabytes.
_TIMEOUT_S = 600.0
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class BatchHttp:
    """Sends requests with a model's key."""

    key_of: Callable[[Model], str | None]
    #: Returns the headers that carry a key.
    headers_of: Callable[[str], dict[str, str]]
    transport: httpx.AsyncBaseTransport | None = None

    async def send(
        self, model: Model, method: str, url: str, *, body: JsonObject | None = None, headers: Mapping[str, str] = _NONE
    ) -> JsonObject:
        """Return the object that a request is answered with."""
        response = await self.fetch(model, method, url, body=body, headers=headers)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            detail = f"expected a JSON object from {url}, got {response.text[:120]!r}"
            raise BatchError(Reply(error=ErrorKind.SERVER, detail=detail))
        return answer

    async def fetch(
        self, model: Model, method: str, url: str, *, body: JsonObject | None = None, headers: Mapping[str, str] = _NONE
    ) -> httpx.Response:
        """Return the response to a request; what is no success is raised."""
        key = self.key_of(model)
        if key is None and model.api_key_env is not None:
            detail = f"no key: expected it in the environment variable {model.api_key_env} of the workers"
            raise BatchError(Reply(error=ErrorKind.NO_KEY, detail=detail))
        try:
            async with httpx.AsyncClient(
                timeout=_TIMEOUT_S,
                transport=self.transport,
                headers={"accept-encoding": ACCEPTED},
                event_hooks={"response": [bounding(MOST_BYTES)]},
            ) as client:
                response = await client.request(
                    method, url, json=body, headers={**self.headers_of(key or "none"), **headers}
                )
        except httpx.StreamError as error:
            raise BatchError(Reply(error=ErrorKind.MALFORMED, detail=f"{error}")) from None
        except httpx.HTTPError as error:
            kind = ErrorKind.TIMEOUT if isinstance(error, httpx.TimeoutException) else ErrorKind.CONNECTION
            raise BatchError(Reply(error=kind, detail=readable(f"{error}" or type(error).__name__))) from None
        if response.is_success:
            return response
        headers = {name.lower(): value for name, value in response.headers.items()}
        failure = failure_of(response.status_code, response.text, headers, secrets=(key,))
        raise BatchError(Reply(error=failure.kind, detail=failure.detail, retry_after_s=failure.retry_after_s))
