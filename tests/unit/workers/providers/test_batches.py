"""Batch APIs on the wire: requests handed in, results read line by line, errors as replies."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Price
from firstline.workers.providers.batches import anthropic, gemini
from firstline.workers.providers.batches.api import BatchApi, Provider
from firstline.workers.providers.batches.formats import OpenAIFormat
from firstline.workers.providers.batches.lines import read_lines
from firstline.workers.providers.batches.openai import OpenAIBatches
from firstline.workers.providers.batches.transport import BatchHttp
from firstline.workers.providers.batches.wire import BatchError, Progress, Request, Result
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import LABEL, A

MODEL = Model(name="openai/small")
CLAUDE, GEMINI = Model(name="anthropic/claude-haiku-5-5"), Model(name="gemini/gemini-3.5-flash-lite")
SINCE = datetime(2026, 11, 29, 12, tzinfo=UTC)


class FilesAndBatches:
    """litellm's file and batch functions, as a provider in OpenAI's shape would answer them."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.seen: dict[str, Any] = {}
        self.pages = 0

    async def acreate_file(self, *, file: Any, **given: Any) -> Any:
        self.seen |= {"content": file[1].read().decode(), **given}
        return SimpleNamespace(id="file-1")

    async def acreate_batch(self, **given: Any) -> Any:
        self.seen |= given
        return SimpleNamespace(id="batch_1")

    async def alist_batches(self, *, after: str | None = None, **_: Any) -> Any:
        self.pages += 1
        if after is None:
            other = SimpleNamespace(id="other", metadata=None, created_at=SINCE.timestamp() + 100)
            return SimpleNamespace(data=[other], has_more=True)
        ours = SimpleNamespace(id="ours", metadata={"firstline_batch": "b"}, created_at=SINCE.timestamp() - 900)
        return SimpleNamespace(data=[ours], has_more=True)

    async def afile_content(self, **_: Any) -> Any:
        return SimpleNamespace(content="\n".join(self.lines).encode())


def files_api(provider: FilesAndBatches) -> BatchApi:
    wire = OpenAIBatches(provider, lambda model: "key", lambda error, model: Reply(detail=str(error)))
    return BatchApi({}, other=Provider(wire, OpenAIFormat()))


def answered(name: str, text: str) -> str:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return json.dumps({"custom_id": name, "response": {"status_code": 200, "body": body}, "error": None})


def test_requests_are_a_file_that_a_batch_with_our_mark_is_made_of() -> None:
    provider, call = FilesAndBatches(), Call(MODEL, ({"role": "user", "content": "hi"},), LABEL, params={"seed": 1})

    async def hand_in() -> str:
        api = files_api(provider)
        requests = await api.requests({"q1": call})
        uploaded = await api.upload(MODEL, requests, mark="b")
        return await api.create(MODEL, requests, mark="b", uploaded=uploaded)

    assert asyncio.run(hand_in()) == "batch_1"
    line = json.loads(provider.seen["content"])
    assert (line["custom_id"], line["url"]) == ("q1", "/v1/chat/completions")
    assert (line["body"]["model"], line["body"]["seed"]) == ("small", 1)
    assert line["body"]["response_format"]["json_schema"]["schema"] == LABEL
    assert provider.seen["metadata"] == {"firstline_batch": "b"}


def test_one_of_ours_is_found_on_a_later_page_and_not_looked_for_beyond_its_time() -> None:
    provider = FilesAndBatches()
    found = asyncio.run(files_api(provider).marked(MODEL, mark="b", requests=1, since=SINCE))
    assert (found, provider.pages) == (["ours"], 2)


@pytest.mark.parametrize(
    "mark",
    ["\u0085", "\u2028", "\u2029", "\u000b", "\f", "\x1c", "\x1d", "\x1e"],
)
def test_lines_end_where_a_line_ends_and_nowhere_else(mark: str) -> None:
    raw = json.dumps({"text": f"a{mark}b"}, ensure_ascii=False)
    assert list(read_lines(f"{raw}\r\n{raw}\n".encode())) == [{"text": f"a{mark}b"}] * 2


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param('{"custom_id": "q1", "resp', id="cut off"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param("\udcff", id="no UTF-8"),
        pytest.param("[1, 2]", id="no object"),
        pytest.param(json.dumps({"custom_id": 7, "response": {}}), id="no name"),
        pytest.param(json.dumps({"custom_id": "q1", "response": {"status_code": 200, "body": None}}), id="no body"),
        pytest.param(json.dumps({"custom_id": "q1", "response": "odd", "error": "odd"}), id="an odd response"),
    ],
)
def test_a_line_that_cannot_be_read_leaves_the_others_alone(bad: str) -> None:
    class Odd(FilesAndBatches):
        async def afile_content(self, **_: Any) -> Any:
            return SimpleNamespace(content=f"{bad}\n{answered('q2', 'yes')}".encode("utf-8", "surrogateescape"))

    calls = {name: Call(MODEL, ()) for name in ("q1", "q2")}
    replies = asyncio.run(files_api(Odd()).answers(MODEL, Progress(True, ("f",)), calls))
    assert replies["q2"].text == "yes"
    assert "q1" not in replies or replies["q1"].error is not None


def test_of_two_answers_to_one_request_the_first_stands() -> None:
    provider = FilesAndBatches(answered("q1", "first"), answered("q1", "second"))
    replies = asyncio.run(files_api(provider).answers(MODEL, Progress(True, ("f",)), {"q1": Call(MODEL, ())}))
    assert replies["q1"].text == "first"


def test_refusals_come_back_as_replies_that_cost_nothing_and_what_expired_does_not() -> None:
    filtered = {"error": {"message": "Your request was rejected as a result of our safety system."}}
    provider = FilesAndBatches(
        json.dumps({"custom_id": "bad", "response": {"status_code": 400, "body": filtered}, "error": None}),
        json.dumps({"custom_id": "late", "response": None, "error": {"code": "batch_expired"}}),
        json.dumps({"custom_id": "not ours", "response": {"status_code": 500, "body": {}}, "error": None}),
    )
    calls = {name: Call(MODEL, ()) for name in ("bad", "late")}
    replies = asyncio.run(files_api(provider).answers(MODEL, Progress(True, ("f",)), calls))
    assert {name: (reply.error, reply.cost_usd) for name, reply in replies.items()} == {
        "bad": (ErrorKind.CONTENT_FILTER, 0.0)
    }


def test_an_answer_costs_what_the_tier_says_and_holds_its_value() -> None:
    call = Call(MODEL.evolve(price=Price(input=1, output=2)), (), LABEL)
    api = files_api(FilesAndBatches(answered("q1", json.dumps(A))))
    reply = asyncio.run(api.answers(MODEL, Progress(True, ("f",)), {"q1": call}))["q1"]
    assert (reply.value, reply.error, reply.cost_usd) == (A, None, pytest.approx(120 / 1e6))


def test_no_more_is_handed_in_than_a_provider_takes() -> None:
    wire = OpenAIBatches(None, lambda model: None, lambda *_: Reply(), most_requests=3, most_bytes=1000)
    api = BatchApi({}, other=Provider(wire, OpenAIFormat()))
    small, large = Request({"x": "y"}), Request({"x": "y" * 400})
    assert api.fits(MODEL, {str(n): small for n in range(5)}) == 3
    assert api.fits(MODEL, {str(n): large for n in range(3)}) == 1
    assert api.fits(MODEL, {"0": small}) == 1


# Anthropic and Gemini -------------------------------------------------------------------------------------------------


def served(handler: Callable[[httpx.Request], httpx.Response], headers: Callable[[str], dict[str, str]]) -> BatchHttp:
    return BatchHttp(lambda model: "sk-1", headers, httpx.MockTransport(handler))


def results_of(wire: Any, model: Model, progress: Progress) -> list[Result]:
    async def read() -> list[Result]:
        return [result async for result in wire.results(model, progress)]

    return asyncio.run(read())


def test_anthropics_batches_carry_their_requests_and_the_betas_that_these_need() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"id": "msgbatch_1"})

    wire = anthropic.AnthropicBatches(served(handler, anthropic.key_headers))
    requests = {"q1": Request({"model": "m"}, {"anthropic-beta": "b,a"}), "q2": Request({}, {"anthropic-beta": "a"})}
    assert asyncio.run(wire.create(CLAUDE, requests, mark="x", uploaded=None)) == "msgbatch_1"
    assert str(asked[0].url) == "https://api.anthropic.com/v1/messages/batches"
    assert (asked[0].headers["x-api-key"], asked[0].headers["anthropic-beta"]) == ("sk-1", "a,b")
    assert json.loads(asked[0].content)["requests"][0] == {"custom_id": "q1", "params": {"model": "m"}}


def test_anthropics_results_are_answers_refusals_and_what_was_never_worked_on() -> None:
    lines = [
        {"custom_id": "a", "result": {"type": "succeeded", "message": {"id": "m"}}},
        {
            "custom_id": "b",
            "result": {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}},
            },
        },
        {"custom_id": "c", "result": {"type": "expired"}},
        {"custom_id": "d", "result": {"type": "canceled"}},
        {"custom_id": "e", "result": "odd"},
    ]

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="\n".join(map(json.dumps, lines)))

    wire = anthropic.AnthropicBatches(served(handler, anthropic.key_headers))
    assert results_of(wire, CLAUDE, Progress(True, ("https://api.anthropic.com/r",))) == [
        Result("a", 200, {"id": "m"}),
        Result("b", 400, {}, "too long"),
        Result("c"),
        Result("d"),
    ]


def test_one_of_anthropics_batches_may_be_ours_if_it_is_recent_and_as_large() -> None:
    def made(name: str, at: str, count: int) -> dict[str, Any]:
        return {"id": name, "created_at": at, "request_counts": {"processing": count, "succeeded": 0}}

    page = [
        made("ours", "2026-11-29T12:00:05Z", 2),
        made("larger", "2026-11-29T12:00:04Z", 3),
        made("old", "2026-11-29T10:00:00Z", 2),
    ]
    wire = anthropic.AnthropicBatches(
        served(lambda _: httpx.Response(200, json={"data": page, "has_more": True}), anthropic.key_headers)
    )
    assert asyncio.run(wire.marked(CLAUDE, mark="x", requests=2, since=SINCE)) == ["ours"]


def test_geminis_batches_bear_our_mark_and_bring_their_answers_with_the_look() -> None:
    ended = {
        "name": "batches/1",
        "metadata": {"state": "BATCH_STATE_SUCCEEDED", "displayName": "x"},
        "done": True,
        "response": {
            "inlinedResponses": {
                "inlinedResponses": [
                    {"metadata": {"key": "a"}, "response": {"candidates": []}},
                    {"metadata": {"key": "b"}, "error": {"code": 8, "message": "quota"}},
                    {"metadata": {}, "response": {}},
                ]
            }
        },
    }
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.method == "POST":
            return httpx.Response(200, json={"name": "batches/1"})
        is_list = request.url.path.endswith("/batches")
        return httpx.Response(200, json={"operations": [ended]} if is_list else ended)

    wire = gemini.GeminiBatches(served(handler, gemini.key_headers))

    async def scene() -> tuple[str, list[str], Progress]:
        name = await wire.create(GEMINI, {"a": Request({"contents": []})}, mark="x", uploaded=None)
        return name, await wire.marked(GEMINI, mark="x", requests=1, since=SINCE), await wire.look(GEMINI, name)

    name, marked, progress = asyncio.run(scene())
    assert (name, marked, progress.ended) == ("batches/1", ["batches/1"], True)
    assert str(asked[0].url).endswith("/v1beta/models/gemini-3.5-flash-lite:batchGenerateContent")
    inline = json.loads(asked[0].content)["batch"]["input_config"]["requests"]["requests"]
    assert inline == [{"request": {"contents": []}, "metadata": {"key": "a"}}]
    assert results_of(wire, GEMINI, progress) == [Result("a", 200, {"candidates": []}), Result("b", 429, {}, "quota")]


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(httpx.Response(429, json={"error": {"message": "slow down"}}), ErrorKind.RATE, id="limited"),
        pytest.param(httpx.Response(404, json={"error": {"message": "no such"}}), ErrorKind.NOT_FOUND, id="unknown"),
        pytest.param(httpx.Response(200, text="<html>"), ErrorKind.SERVER, id="no JSON"),
    ],
)
def test_what_a_provider_refuses_is_an_error_in_its_words_without_the_key(
    response: httpx.Response, kind: ErrorKind
) -> None:
    wire = gemini.GeminiBatches(served(lambda _: response, gemini.key_headers))
    with pytest.raises(BatchError) as caught:
        asyncio.run(wire.look(GEMINI, "batches/1"))
    assert caught.value.reply.error is kind
    assert "sk-1" not in str(caught.value)
