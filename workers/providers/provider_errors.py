"""What a provider's error means: its kind, its sentence without secrets, and how long to wait."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Json, JsonObject
from firstline.workers.providers.provider_faults import BY_STATUS, CODES, ROWS
from firstline.workers.rules.json_text import printable, read_json

_LONGEST = 500
#: A wait that is longer than this is no wait that a provider means.
_LONGEST_WAIT_S = 7 * 24 * 3600.0

#: How litellm begins its messages: `litellm.RateLimitError: RateLimitError: OpenAIException - `.
_PREFIX = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception|Timeout): )*(?:\w+Exception - )?")

#: What looks like a key, wherever it stands.
_KEY_LIKE = re.compile(r"\b(?:sk|pk|gsk|xai|AIza|Bearer)[-_ ]?[A-Za-z0-9*._-]{8,}")

#: `try again in 1m30.5s`, `retry after 6 seconds`, `"retryDelay": "2s"`, `wait 20 ms`.
_DURATION = r"(?:(?P<h>[0-9.]+) ?h(?:ours?)? ?)?(?:(?P<m>[0-9.]+) ?m(?:in(?:utes?)?)?(?![a-z]) ?)?"
_SECONDS = r"(?:(?P<s>[0-9.]+) ?s(?:ec(?:onds?)?)?(?![a-z]))?(?:(?P<ms>[0-9.]+) ?m(?:illi)?s(?:econds?)?)?"
_WAIT = re.compile(
    r"(?:(?:try|retry)(?: again| your request)? (?:in|after)|please wait|retry_?delay\W+|retry_after\W+)\s*(?:about )?"
    rf"{_DURATION}{_SECONDS}",
    re.IGNORECASE,
)
_RESET = re.compile(r"^(?:anthropic-ratelimit-[\w-]+-reset|x-ratelimit-reset(?:-[\w-]+)?|ratelimit-reset)$")
_LENGTHS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that brought no answer."""

    kind: ErrorKind
    detail: str
    retry_after_s: float | None = None
    #: Its words told the kind; else its status alone did.
    is_worded: bool = True


def failure_of(
    status: int | None,
    body: str,
    headers: Mapping[str, str],
    *,
    secrets: tuple[str | None, ...] = (),
    now: datetime | None = None,
) -> Failure:
    """Return what a response without an answer amounts to; `headers` are lower-cased.

    An error that comes with status 200 has its own status in the body.
    """
    problem = _problem(body)
    stated = problem.status if status is None or status < 400 else status
    bare = _PREFIX.sub("", body)
    # The sentence once more as it reads: in the body its letters may be escaped.
    said = f"{bare}\n{problem.message or ''}"
    worded = next((row.kind for row in ROWS if row.fits(stated, said)), None)
    words = readable(problem.message or bare or f"HTTP status {status}", secrets=secrets)
    return Failure(worded or _by_status(stated), words, wait_s(body, headers, now=now), is_worded=worded is not None)


def wait_s(body: str, headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that a provider asks to wait, by its headers, else its words; None where it says nothing."""
    asked = retry_after(headers, now=now)
    if asked is None:
        asked = _in_words(body)
    if asked is None:
        asked = _reset(headers, now or datetime.now(UTC))
    return None if asked is None else min(asked, _LONGEST_WAIT_S)


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


def readable(message: str, *, secrets: tuple[str | None, ...] = ()) -> str:
    """Return an error's message for people: one line, no keys, no longer than needed."""
    for secret in filter(None, secrets):
        message = message.replace(secret, "[key]")
    bare = _PREFIX.sub("", " ".join(printable(message).split()))
    return _KEY_LIKE.sub("[key]", bare)[:_LONGEST]


def error_in(body: Json) -> bool:
    """Say whether a body that came with status 200 tells of an error."""
    match body:
        case {"error": error} if error:
            return True
        case {"type": "error"} | {"object": "error"} | {"success": False}:
            return True
        case {"base_resp": {"status_code": int() as code}} if code:
            return True
        case dict():
            return "choices" not in body and bool(body.keys() & {"detail", "message", "errors"})
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Problem:
    message: str | None = None
    status: int | None = None


def _problem(body: str) -> _Problem:
    """Return the sentence and the status that an error's body states, wherever it has them."""
    try:
        told = read_json(body)
    except ValueError:
        return _Problem()
    parts = [part for part in _parts(told) if isinstance(part, dict)]
    messages = [text for part in parts for name in _MESSAGES if isinstance(text := part.get(name), str) and text]
    states = [state for part in parts for name in _STATES if (state := _status(part.get(name))) is not None]
    whole = [text for text in _parts(told) if isinstance(text, str) and text]
    return _Problem(next(iter([*messages, *whole]), None), next(iter(states), None))


_MESSAGES = ("message", "msg", "status_msg", "detail", "error_description", "title")
_STATES = ("code", "status", "status_code", "http_status", "type")


def _parts(told: Json) -> Iterator[Json]:
    """Yield the parts of a body that may tell of an error, the most telling first."""
    match told:
        case [first, *_]:
            yield from _parts(first)
        case {"error": inner}:
            if isinstance(inner, dict) and isinstance(metadata := inner.get("metadata"), dict) and "raw" in metadata:
                yield {"message": f"{inner.get('message', '')}: {metadata['raw']}"}
            yield inner
            yield told
        case {"errors": [inner, *_]}:
            yield inner
            yield told
        case {"base_resp": inner}:
            yield inner
        case {"choices": [{"error": inner}, *_]}:
            yield inner
        case {"detail": [dict(), *_] as details}:
            yield {"message": "; ".join(_placed(one) for one in details if isinstance(one, dict))}
        case {"detail": [inner, *_]}:
            yield inner
        case {"message": dict() as inner}:
            yield from _parts(inner)
            yield told
        case _:
            yield told


def _placed(detail: JsonObject) -> str:
    """Return one of the problems that FastAPI lists of a request: where it lies, and what it is."""
    place = detail.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    what = next((text for name in _MESSAGES if isinstance(text := detail.get(name), str)), "")
    return f"{where}: {what}" if where and what else where or what


def _status(code: Json) -> int | None:
    match code:
        case bool():
            return None
        case int() if 400 <= code < 600:
            return code
        case int():
            return CODES.get(str(code))
        case str() if code.isdecimal() and 400 <= int(code[:6]) < 600:
            return int(code)
        case str():
            return CODES.get(code)
        case _:
            return None


def _by_status(status: int | None) -> ErrorKind:
    if status is None:
        return ErrorKind.SERVER
    return BY_STATUS.get(status, ErrorKind.BAD_REQUEST if 400 <= status < 500 else ErrorKind.SERVER)


def _in_words(body: str) -> float | None:
    for found in _WAIT.finditer(body):
        parts = {name: _number(text) for name, text in found.groupdict().items() if text}
        if parts:
            return sum(_LENGTHS[name] * (number or 0.0) for name, number in parts.items())
    return None


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds until a limit that is used up is renewed; of several the longest wait."""
    waits = []
    for name, value in headers.items():
        if _RESET.match(name) is None:
            continue
        left = headers.get(name.replace("reset", "remaining"))
        if left is not None and (_number(left) or 0.0) > 0:
            continue
        if (seconds := _until(value, now)) is not None:
            waits.append(seconds)
    return max(waits, default=None)


def _until(value: str, now: datetime) -> float | None:
    """Return the seconds until a reset that is told as seconds, a length (`6m0s`), a Unix time or a date (RFC 3339)."""
    if (number := _number(value)) is not None:
        if number > 1e11:
            number /= 1000
        return max(0.0, number - now.timestamp()) if number > 1e9 else number
    length = re.fullmatch(_DURATION + _SECONDS, value.strip())
    if length is not None and any(length.groupdict().values()):
        return sum(_LENGTHS[name] * (_number(text) or 0.0) for name, text in length.groupdict().items() if text)
    try:
        return max(0.0, (datetime.fromisoformat(value.replace("Z", "+00:00")) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None
