"""What becomes of a call that litellm brought no answer to: the provider's own words decide, where there are any."""

from dataclasses import replace

from firstline.schemas.attempt import ErrorKind
from firstline.workers.providers.billing import asked_on, booked, free, was_refused
from firstline.workers.providers.decisions import billed, read_decisions
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.provider_errors import error_in, failure_of, rate_limits, readable
from firstline.workers.providers.response_parser import read_reply
from firstline.workers.providers.wire import CUT, Wire

_TIMEOUTS = frozenset({"TimeoutError", "Timeout", "APITimeoutError"})
#: litellm's own word on errors that it raises before anything is sent, or knows of by more than their words.
_BY_NAME = {
    "ContextWindowExceededError": ErrorKind.CONTEXT_LENGTH,
    "ContentPolicyViolationError": ErrorKind.CONTENT_FILTER,
    "APIConnectionError": ErrorKind.CONNECTION,
}

#: What litellm meets in a request that it cannot put into a provider's form; a bare `Exception` is one that it words.
_STUMBLES = (LookupError, TypeError, AttributeError)


def reply_without_litellm(error: Exception | None, wire: Wire, call: Call, key: str | None) -> Reply:
    """Return the reply that a call amounts to which litellm raised for, or made nothing of.

    An answer that came all the same is read, whatever litellm found wrong with it: it is paid for.
    """
    if wire.is_cut:
        return Reply(error=ErrorKind.MALFORMED, detail=CUT)
    name, headers = type(error).__name__, wire.headers or _headers(error)
    if name in _TIMEOUTS and (wire.status is None or wire.status < 400):
        return Reply(error=ErrorKind.TIMEOUT, detail=f"no answer within {call.timeout_s:g} s")
    if wire.status is not None and wire.status < 300 and (reply := _answered(wire, call)) is not None:
        return reply
    if wire.status is None and error is not None and _stumbled(error):
        detail = readable(f"the request cannot be put into the provider's form: {error}", secrets=(key,))
        return free(Reply(error=ErrorKind.BAD_REQUEST, detail=detail))
    if wire.status is None:
        status, body = getattr(error, "status_code", None), f"{getattr(error, 'message', '') or error}"
        failure = failure_of(status if isinstance(status, int) else None, body or name, headers, secrets=(key,))
    else:
        failure = failure_of(wire.status, wire.body, headers, secrets=(key,))
    # Where the body tells of an error, the connection was good, whatever litellm calls it.
    is_told = failure.is_worded or (name == "APIConnectionError" and error_in(wire.json))
    kind = failure.kind if is_told else _BY_NAME.get(name, failure.kind)
    limits = rate_limits(headers)
    reply = Reply(error=kind, detail=failure.detail, retry_after_s=failure.retry_after_s, limits=limits)
    return free(reply) if _is_free(error, wire, kind) else reply


def _stumbled(error: Exception) -> bool:
    """Say whether litellm fell over a request, before anything was sent: it calls that a lost connection, or a bug."""
    causes = (error, error.__cause__ or error.__context__)
    return any(type(one) is Exception or isinstance(one, _STUMBLES) for one in causes)


def _is_free(error: Exception | None, wire: Wire, kind: ErrorKind) -> bool:
    """Say whether a call cost nothing: an error came back, by its status or in its body, or nobody was reached."""
    if wire.status is not None and (wire.status >= 400 or error_in(wire.json)):
        return True
    return error is not None and was_refused(error, kind)


def _answered(wire: Wire, call: Call) -> Reply | None:
    """Return the reply in a body that came with a status of success; None where it tells of an error or is no JSON."""
    body = wire.json
    if not isinstance(body, dict) or error_in(body):
        return None
    if call.model.decides:
        return booked(read_decisions(body, call), billed(body), call.model)
    if "choices" in body:
        reply = replace(read_reply(body, call), limits=rate_limits(wire.headers))
        return booked(reply, body, call.model, unsaid=asked_on(call))
    detail = readable(f"the provider's answer cannot be read: {wire.body}")
    return booked(Reply(error=ErrorKind.MALFORMED, detail=detail), body, call.model, unsaid=asked_on(call))


def _headers(error: Exception | None) -> dict[str, str]:
    """Return the response's headers, lower-cased, from wherever litellm left them."""
    found: dict[str, str] = {}
    for source in (getattr(error, "response", None), error):
        for attribute in ("headers", "litellm_response_headers"):
            headers = getattr(source, attribute, None)
            if headers is not None and hasattr(headers, "items"):
                found.update({str(name).lower(): str(value) for name, value in headers.items()})
    return found
