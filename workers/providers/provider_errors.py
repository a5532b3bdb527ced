"""What a provider's error means: its kind, its sentence without secrets, and how long to wait."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from firstline.schemas.attempt import ErrorKind

_LONGEST = 500

_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|out of credits|spend(ing)? limit", re.I
)
_CONTEXT = re.compile(
    r"context[ _]length|context window|maximum context|too many tokens|prompt is too long|exceeds? the context"
    r"|input is too long|exceeds the available context size|reduce the length",
    re.I,
)
#: What the simulator says when its script has no answer to a prompt: the item's lack, not the model's.
_NOT_RECORDED = re.compile(r"no recording matches", re.I)
_FILTER = re.compile(r"content[ _](policy|filter|management)|safety system|responsibleai", re.I)
_CONNECTION = re.compile(
    r"connection error|cannot connect|connection (reset|refused|aborted)|server disconnected"
    r"|payload is not completed|incomplete (read|message|chunked)",
    re.I,
)

#: How litellm begins its messages: `litellm.RateLimitError: RateLimitError: OpenAIException - `.
_PREFIX = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception|Timeout): )*(?:\w+Exception - )?")

#: What looks like a key, wherever it stands.
_KEY_LIKE = re.compile(r"\b(?:sk|pk|gsk|xai|AIza|Bearer)[-_ ]?[A-Za-z0-9*._-]{8,}")

_BY_STATUS = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.SERVER,
    413: ErrorKind.CONTEXT_LENGTH,
    422: ErrorKind.BAD_REQUEST,
    429: ErrorKind.RATE,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that brought no answer."""

    kind: ErrorKind
    detail: str
    retry_after_s: float | None = None


def kind_of(name: str, status: int | None, message: str) -> ErrorKind:
    """Return the kind of an error, from its class name (litellm's exceptions), HTTP status and message."""
    match name:
        case "Timeout" | "APITimeoutError" | "TimeoutError":
            return ErrorKind.TIMEOUT
        case "ContextWindowExceededError":
            return ErrorKind.CONTEXT_LENGTH
        case "ContentPolicyViolationError":
            return ErrorKind.CONTENT_FILTER
        case "APIConnectionError":
            return ErrorKind.CONNECTION
        case _:
            return _by_message(status, message) or _BY_STATUS.get(status or 500, _beyond(status))


def _by_message(status: int | None, message: str) -> ErrorKind | None:  # noqa: PLR0911 - one return a kind
    """Return the kind that the words of an error tell where its status stands for several."""
    match status:
        case 429 | 403 if _QUOTA.search(message):
            return ErrorKind.QUOTA
        case 400 | 413 | 422 if _CONTEXT.search(message):
            return ErrorKind.CONTEXT_LENGTH
        case 400 | 403 if _FILTER.search(message):
            return ErrorKind.CONTENT_FILTER
        case 404 if _NOT_RECORDED.search(message):
            return ErrorKind.INPUT
        case 400 if _QUOTA.search(message):
            return ErrorKind.QUOTA
        case 500 | None if _CONNECTION.search(message):
            return ErrorKind.CONNECTION
        case _:
            return None


def _beyond(status: int | None) -> ErrorKind:
    return ErrorKind.BAD_REQUEST if status is not None and 400 <= status < 500 else ErrorKind.SERVER


def readable(message: str, *, secrets: tuple[str | None, ...] = ()) -> str:
    """Return an error's message for people: one line, no keys, no longer than needed."""
    for secret in filter(None, secrets):
        message = message.replace(secret, "[key]")
    bare = _PREFIX.sub("", " ".join(message.split()))
    return _KEY_LIKE.sub("[key]", bare)[:_LONGEST]


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that Retry-After asks to wait: seconds or a date (RFC 9110, 10.2.3), or `retry-after-ms`."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds())
    except (TypeError, ValueError):
        return None


def rate_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the rate-limit headers among a response's headers, lower-cased, without litellm's prefix."""
    bare = {name.lower().removeprefix("llm_provider-"): value for name, value in headers.items()}
    return {name: str(value) for name, value in bare.items() if "ratelimit" in name or name.startswith("retry-after")}


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None
