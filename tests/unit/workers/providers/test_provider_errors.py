"""What providers' errors mean."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstline.schemas.attempt import Blame, ErrorKind
from firstline.schemas.tier import Model
from firstline.workers.providers.gateway import Call
from firstline.workers.providers.provider_errors import error_in, failure_of, rate_limits, readable, retry_after
from firstline.workers.providers.unanswered import reply_without_litellm
from firstline.workers.providers.wire import Wire


@dataclass(frozen=True)
class Shape:
    """An error as a provider sends it, and what it amounts to."""

    name: str
    body: str
    kind: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float | None = None


FILE = Path(__file__).parents[3] / "data" / "provider_faults.jsonl"
SHAPES = [Shape(**json.loads(line)) for line in FILE.read_text("utf-8").splitlines()]
NOW = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_an_error_has_a_kind_and_a_wait(shape):
    found = failure_of(shape.status, shape.body, shape.headers, now=NOW)
    assert found.kind == shape.kind
    assert found.retry_after_s == pytest.approx(shape.wait_s)
    assert found.detail


def test_many_shapes_are_known_and_each_has_a_name_of_its_own():
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 90


@pytest.mark.parametrize(
    "shape",
    [shape for shape in SHAPES if shape.status == 200 and shape.body.startswith("{")],
    ids=lambda shape: shape.name,
)
def test_a_body_of_status_200_that_tells_of_an_error_is_none(shape):
    assert error_in(json.loads(shape.body))


@pytest.mark.parametrize("body", [{"choices": []}, {"choices": [], "error": None}, {"content": []}, [], "x", None])
def test_a_body_that_tells_of_no_error_is_none(body):
    assert not error_in(body)


def test_every_kind_says_who_is_to_blame():
    assert {kind.blame for kind in ErrorKind} == set(Blame)


@pytest.mark.parametrize(
    ("name", "status", "message", "kind"),
    [
        ("ContextWindowExceededError", 400, "too much", ErrorKind.CONTEXT_LENGTH),
        ("ContentPolicyViolationError", 400, "no", ErrorKind.CONTENT_FILTER),
        ("APIConnectionError", 500, "anything", ErrorKind.CONNECTION),
        ("Timeout", 408, "timed out", ErrorKind.TIMEOUT),
        (
            "RateLimitError",
            429,
            "litellm.RateLimitError: RateLimitError: XException - You exceeded your current quota",
            ErrorKind.QUOTA,
        ),
        ("UnprocessableEntityError", 422, "unknown field", ErrorKind.BAD_REQUEST),
        ("KeyError", None, "'choices'", ErrorKind.SERVER),
    ],
)
def test_what_litellm_raises_before_anything_is_sent_has_a_kind_too(name, status, message, kind):
    error = type(name, (Exception,), {"status_code": status, "message": message})()
    call = Call(Model(name="openai/m"), ())
    assert reply_without_litellm(error, Wire(), call, None).error is kind


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
