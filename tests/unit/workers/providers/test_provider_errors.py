"""What providers' errors mean."""

from datetime import UTC, datetime

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.workers.providers.provider_errors import kind_of, rate_limits, readable, retry_after


@pytest.mark.parametrize(
    ("name", "status", "message", "kind"),
    [
        ("RateLimitError", 429, "Rate limit reached", ErrorKind.RATE),
        ("RateLimitError", 429, "You exceeded your current quota", ErrorKind.QUOTA),
        ("PaymentRequiredError", 402, "Insufficient balance", ErrorKind.QUOTA),
        ("BadRequestError", 400, "Your credit balance is too low", ErrorKind.QUOTA),
        ("AuthenticationError", 401, "invalid x-api-key", ErrorKind.AUTH),
        ("PermissionDeniedError", 403, "no access", ErrorKind.AUTH),
        ("NotFoundError", 404, "no such model", ErrorKind.NOT_FOUND),
        ("NotFoundError", 404, "No recording matches: model m", ErrorKind.INPUT),
        ("ContextWindowExceededError", 400, "too long", ErrorKind.CONTEXT_LENGTH),
        ("BadRequestError", 400, "prompt is too long: 210000 tokens", ErrorKind.CONTEXT_LENGTH),
        ("BadRequestError", 400, "the request exceeds the available context size", ErrorKind.CONTEXT_LENGTH),
        ("ContentPolicyViolationError", 400, "no", ErrorKind.CONTENT_FILTER),
        ("BadRequestError", 400, "unknown argument", ErrorKind.BAD_REQUEST),
        ("UnprocessableEntityError", 422, "unknown field", ErrorKind.BAD_REQUEST),
        ("Timeout", 408, "timed out", ErrorKind.TIMEOUT),
        ("InternalServerError", 500, "Connection error.", ErrorKind.CONNECTION),
        ("APIConnectionError", 500, "anything", ErrorKind.CONNECTION),
        ("InternalServerError", 500, "oops", ErrorKind.SERVER),
        ("ServiceUnavailableError", 503, "overloaded", ErrorKind.SERVER),
        ("APIError", 529, "overloaded", ErrorKind.SERVER),
        ("KeyError", None, "'choices'", ErrorKind.SERVER),
    ],
)
def test_an_error_has_a_kind(name, status, message, kind):
    assert kind_of(name, status, message) is kind


def test_a_message_loses_keys_and_the_wrapping():
    wrapping = "litellm.AuthenticationError: AuthenticationError: OpenAIException - "
    message = f"{wrapping}Incorrect API key: sk-abc123def456 or hunter2."
    assert readable(message, secrets=("hunter2", None)) == "Incorrect API key: [key] or [key]."


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "2.5"}, 2.5, id="seconds"),
        pytest.param({"retry-after-ms": "250"}, 0.25, id="milliseconds"),
        pytest.param({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, 30.0, id="date"),
        pytest.param({"retry-after": "Tue, 24 Nov 2026 11:00:00 GMT"}, 0.0, id="date gone by"),
        pytest.param({"retry-after": "soon"}, None, id="nonsense"),
        pytest.param({}, None, id="none"),
    ],
)
def test_retry_after_is_seconds(headers, seconds):
    assert retry_after(headers, now=datetime(2026, 11, 24, 12, tzinfo=UTC)) == seconds


def test_rate_limit_headers_are_kept_and_others_are_not():
    headers = {"llm_provider-X-RateLimit-Remaining-Tokens": "7", "set-cookie": "secret", "Retry-After": "1"}
    assert rate_limits(headers) == {"x-ratelimit-remaining-tokens": "7", "retry-after": "1"}
