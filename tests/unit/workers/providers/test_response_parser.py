"""What came over the wire is read as it is: broken-off answers are none, and what cannot be read was paid for."""

from dataclasses import replace

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model
from firstline.workers.providers.gateway import Call
from firstline.workers.providers.response_parser import read_reply

CALL = Call(model=Model(name="openai/small"), messages=({"role": "user", "content": "Where is it?"},))
ANSWER = '{"label": "delivery"}'


def response(message=None, **choice):
    return {"choices": [{"message": {"role": "assistant", "content": ANSWER} | (message or {}), **choice}]}


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("error", ErrorKind.SERVER),
        ("insufficient_system_resource", ErrorKind.SERVER),
        ("abort", ErrorKind.SERVER),
        ("engine_error", ErrorKind.SERVER),
        ("MALFORMED_FUNCTION_CALL", ErrorKind.SERVER),
        ("model_length", ErrorKind.TRUNCATED),
        ("MAX_TOKENS", ErrorKind.TRUNCATED),
        ("length", ErrorKind.TRUNCATED),
        ("content_filter", ErrorKind.CONTENT_FILTER),
        ("SAFETY", ErrorKind.CONTENT_FILTER),
        ("refusal", ErrorKind.REFUSED),
        ("stop", None),
        ("eos", None),
        ("end_turn", None),
        (None, None),
    ],
)
def test_an_answer_that_was_broken_off_is_none_whoever_names_the_reason(finish, kind):
    assert read_reply(response(finish_reason=finish), CALL).error is kind
    if kind not in (None, ErrorKind.REFUSED):
        own = {"native_finish_reason": finish}
        assert read_reply(response(finish_reason="stop", **own), CALL).error is kind
        assert read_reply(response(finish_reason="stop", provider_specific_fields=own), CALL).error is kind


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (ANSWER, ANSWER),
        ([{"type": "text", "text": ANSWER}], ANSWER),
        ([{"type": "thinking", "thinking": "refund?"}, {"type": "text", "text": ANSWER}], ANSWER),
        ([{"type": "output_text", "text": '{"label": '}, {"type": "output_text", "text": '"delivery"}'}], ANSWER),
        ([ANSWER], ANSWER),
    ],
)
def test_content_is_read_in_every_form(content, text):
    reply = read_reply(response({"content": content}), CALL)
    assert (reply.text, reply.error) == (text, None)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"choices": None}, ErrorKind.SERVER),
        ({"choices": []}, ErrorKind.SERVER),
        ({"choices": [{"message": None}]}, ErrorKind.SERVER),
        ({"choices": [{"message": {"content": None}}]}, ErrorKind.EMPTY),
        (
            {"choices": [{"message": {"content": None, "reasoning": "hm"}, "finish_reason": "length"}]},
            ErrorKind.TRUNCATED,
        ),
        ({"choices": [{"message": {"content": "x"}, "error": {"code": 502, "message": "upstream"}}]}, ErrorKind.SERVER),
        ({"choices": [{"message": {"content": None, "tool_calls": 3}}]}, ErrorKind.MALFORMED),
    ],
)
def test_what_brings_no_answer_has_its_kind_and_never_raises(given, kind):
    reply = read_reply(given, CALL)
    assert reply.error is kind
    assert reply.detail


@pytest.mark.parametrize(
    "logprobs",
    [
        3,
        "x",
        [1],
        {"content": 3},
        {"content": "x"},
        {"content": [1, None]},
        {"content": [{"token": ANSWER, "logprob": "-0.1", "top_logprobs": 3}]},
        {"content": [{"token": None, "logprob": True, "bytes": [999, -1], "top_logprobs": {"a": -0.1}}]},
        {"tokens": [ANSWER], "token_logprobs": [-0.1]},
    ],
)
def test_log_probabilities_that_cannot_be_read_cost_no_answer(logprobs):
    reply = read_reply(response(logprobs=logprobs), replace(CALL, top_logprobs=5))
    assert (reply.text, reply.error) == (ANSWER, None)
    assert all(token.logprob is None for token in reply.logprobs)


def test_thoughts_that_used_up_all_tokens_are_told_as_such():
    cut = response({"content": None, "reasoning_content": "hm"}, finish_reason="length")
    assert "thoughts used up all tokens" in str(read_reply(cut, CALL).detail)
