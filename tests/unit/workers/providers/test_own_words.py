"""What litellm leaves out of a bad answer is read from the provider's own body."""

import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Lane, Model, Price
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.own_words import in_own_words

CALL = Call(Model(name="gemini/x", price=Price(input=1, cached_input=0.5, output=10)), ())
HELD_BACK = Reply(error=ErrorKind.CONTENT_FILTER, text="I can't.", detail="held back", cost_usd=1.0)
EMPTY = Reply(error=ErrorKind.EMPTY, detail="nothing")
USED: JsonObject = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 90,
}


def part(kind: str, text: str) -> JsonObject:
    return {"type": "message", "content": [{"type": kind, "refusal" if kind == "refusal" else "text": text}]}


@pytest.mark.parametrize(
    ("reply", "body", "error", "words"),
    [
        pytest.param(HELD_BACK, {"stop_reason": "refusal"}, ErrorKind.REFUSED, "I can't.", id="Anthropic"),
        pytest.param(
            HELD_BACK,
            {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "That is harm."}},
            ErrorKind.REFUSED,
            "That is harm.",
            id="Anthropic says why",
        ),
        pytest.param(HELD_BACK, {"stop_reason": "end_turn"}, ErrorKind.CONTENT_FILTER, "held back", id="no refusal"),
        pytest.param(EMPTY, {"output": [part("refusal", "No.")]}, ErrorKind.REFUSED, "No.", id="Responses"),
        pytest.param(EMPTY, {"output": [part("output_text", "")]}, ErrorKind.EMPTY, "nothing", id="nothing said"),
        pytest.param(
            EMPTY, {"output": ["?", {"type": "message", "content": [1]}]}, ErrorKind.EMPTY, "nothing", id="odd"
        ),
        pytest.param(EMPTY, {"stopReason": "malformed_tool_use"}, ErrorKind.SERVER, "malformed_tool_use", id="Bedrock"),
        pytest.param(EMPTY, [], ErrorKind.EMPTY, "nothing", id="a list"),
        pytest.param(EMPTY, None, ErrorKind.EMPTY, "nothing", id="no JSON"),
    ],
)
def test_a_refusal_and_a_broken_answer_are_told_from_a_filter_and_from_nothing(
    reply: Reply, body: Json, error: ErrorKind, words: str
) -> None:
    told = in_own_words(reply, body, CALL)
    assert (told.error, words in (told.detail or "")) == (error, True)


def test_a_good_answer_is_left_alone() -> None:
    good = Reply(text="yes")
    assert in_own_words(good, {"stop_reason": "refusal"}, CALL) is good


@pytest.mark.parametrize(
    ("total", "output"), [(1100, 100), (1010, 10)], ids=["thoughts beside the answer", "thoughts counted with it"]
)
def test_what_gemini_held_back_is_paid_with_its_thoughts_and_its_cache(total: int, output: int) -> None:
    told = in_own_words(HELD_BACK, {"usageMetadata": {**USED, "totalTokenCount": total}}, CALL)
    usage = Usage(input_tokens=1000, cached_tokens=400, audio_input_tokens=0, output_tokens=output, reasoning_tokens=90)
    assert (told.error, told.usage) == (ErrorKind.CONTENT_FILTER, usage)
    assert told.cost_usd == pytest.approx((600 + 0.5 * 400 + 10 * output) / 1e6)


def test_of_an_empty_answer_litellm_reads_the_usage_itself() -> None:
    assert in_own_words(EMPTY, {"usageMetadata": USED}, CALL) is EMPTY


def test_what_was_held_back_in_a_batch_is_paid_as_of_a_batch() -> None:
    told = in_own_words(HELD_BACK, {"usageMetadata": {**USED, "totalTokenCount": 1100}}, CALL, lane=Lane.BATCH)
    assert told.lane is Lane.BATCH
