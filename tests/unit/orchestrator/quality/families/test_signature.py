"""What requests are grouped by, and which can never be certified."""

import pytest

from firstline.orchestrator.quality.families.signature import signature_of

FORM = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": ["a", "b"]}}}
SYSTEM = {"role": "system", "content": "You sort. Today is 2026-11-29."}


def told(**more):
    request = {"model": "m", "messages": [SYSTEM, {"role": "user", "content": "x"}], **more}
    return signature_of(request, tenant="default", model="openai/top", profile="p")


def test_the_user_and_the_day_make_no_other_family():
    later = {"role": "system", "content": "You sort. Today is 2026-12-24."}
    mine = told(response_format=FORM, user="ada", stream=True)
    theirs = told(response_format=FORM, messages=[later, {"role": "user", "content": "something else"}])
    assert (mine.shape, mine.prompt) == (theirs.shape, theirs.prompt)


@pytest.mark.parametrize("more", [{"temperature": 1}, {"max_tokens": 5}, {"response_format": FORM}, {"stop": ["."]}])
def test_another_form_or_sampling_is_another_family(more):
    assert told(**more).shape != told().shape


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tools": [{"type": "function"}]}, "tool calls"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "text"),
        ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "1"}]}, "tool calls"),
        ({"n": 2}, "n, which only"),
        ({"logprobs": True}, "logprobs"),
        ({"seed": 1}, "seed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_the_top_model_gives_goes_straight_to_it(more, why):
    assert why in told(**more).straight


@pytest.mark.parametrize("more", [{}, {"n": 1}, {"logprobs": False}, {"stream": True, "user": "a"}])
def test_plain_requests_may_be_certified(more):
    assert told(**more).straight is None
