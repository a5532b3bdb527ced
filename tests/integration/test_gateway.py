"""litellm behind the gateway, over real HTTP, with everything that can go wrong."""

import asyncio
import gzip
import json
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.tier import Model, Price
from firstline.workers.loop.event_loop import Threads
from firstline.workers.providers.batches.wire import BatchError, Progress
from firstline.workers.providers.gateway import Call, PassError, Reply
from firstline.workers.providers.litellm_gateway import load
from firstline.workers.providers.recording import Recording, RecordingGateway
from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import FaultKind, Script

SCHEMA = {
    "type": "object",
    "properties": {"intent": {"enum": ["refund", "card"]}, "note": {"type": "string"}},
    "required": ["intent", "note"],
    "additionalProperties": False,
}
FAULTS = {kind.value: {"faults": [{"kind": kind.value, "retry_after_s": 2.5}]} for kind in FaultKind}
SCRIPT = Script.model_validate(
    {
        "models": FAULTS
        | {
            "first": {},
            "good": {},
            "text": {"answer": {"kind": "fixed", "text": "hello"}},
            "refusing": {"supports": ["json_object"]},
            "ignoring": {"supports": [], "unsupported": "ignore"},
            "tools-only": {"supports": ["tools"]},
            "limited": {"limits": {"requests_per_minute": 60, "burst": 0.02}},
            "small": {"context_tokens": 50},
            "slow": {"latency": {"kind": "constant", "seconds": 0.3}},
            "cached": {"cache_from_tokens": 128},
        }
    }
)
KEY = "sk-test-0123456789abcdef"


@pytest.fixture(scope="module")
def gateway():
    return load()


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def url():
    with running(SCRIPT) as url:
        yield url


@pytest.fixture(scope="module")
def warm(gateway, loop, url):
    """The gateway after its first call, in which litellm loads what it has not yet: seconds in a fresh environment."""
    model = Model(name="openai/first", api_base=f"{url}/v1")
    first = Call(model=model, messages=({"role": "user", "content": "hello"},), timeout_s=60.0, schema=SCHEMA)
    assert loop.run_until_complete(gateway.call(first)).error is None
    return gateway


@pytest.fixture
def call(warm, loop, url):
    """Answer one call to a model of the script."""
    gateway = warm

    def call(model, text="hello", *, price=None, key=None, **more):
        model = Model(name=f"openai/{model}", api_base=f"{url}/v1", price=price, api_key_env=key)
        return loop.run_until_complete(
            gateway.call(Call(model=model, messages=({"role": "user", "content": text},), timeout_s=1.0, **more))
        )

    return call


def outcomes(url, model):
    return httpx.get(f"{url}/stats").json()["models"].get(model, {}).get("outcomes", {})


@pytest.mark.parametrize(
    ("fault", "error", "tries"),
    [
        (FaultKind.RATE_LIMIT, ErrorKind.RATE, 1),
        (FaultKind.QUOTA, ErrorKind.QUOTA, 1),
        (FaultKind.LANE_FULL, ErrorKind.LANE, 1),
        (FaultKind.AUTH, ErrorKind.AUTH, 1),
        (FaultKind.NOT_FOUND, ErrorKind.NOT_FOUND, 1),
        (FaultKind.CONTEXT_LENGTH, ErrorKind.CONTEXT_LENGTH, 1),
        (FaultKind.SERVER_ERROR, ErrorKind.SERVER, 1),
        (FaultKind.OVERLOADED, ErrorKind.SERVER, 1),
        (FaultKind.CONTENT_FILTER, ErrorKind.CONTENT_FILTER, 1),
        (FaultKind.BAD_REQUEST, ErrorKind.BAD_REQUEST, 4),
        (FaultKind.HANG, ErrorKind.TIMEOUT, 1),
        (FaultKind.DROP, ErrorKind.CONNECTION, 1),
        (FaultKind.TRUNCATION, ErrorKind.TRUNCATED, 1),
        (FaultKind.MALFORMED, ErrorKind.MALFORMED, 2),
        (FaultKind.REFUSAL, ErrorKind.REFUSED, 1),
        (FaultKind.FILTERED, ErrorKind.CONTENT_FILTER, 1),
        (FaultKind.EMPTY, ErrorKind.EMPTY, 1),
        (FaultKind.REPAIRABLE, None, 1),
        (FaultKind.OFF_SCHEMA, None, 2),
        (FaultKind.NO_USAGE, None, 1),
        (FaultKind.ZERO_USAGE, None, 1),
        (FaultKind.NO_PROBABILITIES, None, 1),
    ],
)
def test_every_fault_is_a_reply_of_its_kind_and_nothing_is_tried_again_behind_our_back(call, url, fault, error, tries):
    reply = call(fault.value, schema=SCHEMA)
    assert reply.error is error, reply
    assert (reply.detail is None) == (error is None)
    assert sum(outcomes(url, fault.value).values()) == tries


def test_the_table_of_faults_is_complete():
    cases = test_every_fault_is_a_reply_of_its_kind_and_nothing_is_tried_again_behind_our_back.pytestmark[0].args[1]
    assert {case[0] for case in cases} == set(FaultKind)


def test_a_good_answer_has_its_value_usage_cost_and_latency(call):
    reply = call("good", schema=SCHEMA, price=Price(input=1, output=2))
    assert set(reply.value) == {"intent", "note"}
    assert (reply.structured, reply.finish_reason, reply.calls) == ("json_schema", "stop", 1)
    assert reply.usage == Usage(
        input_tokens=6, cached_tokens=0, output_tokens=reply.usage.output_tokens, reasoning_tokens=0
    )
    assert reply.cost_usd == pytest.approx((6 + 2 * reply.usage.output_tokens) / 1e6)
    assert reply.price_source == "profile"
    assert 0 < reply.latency_s < 5


def test_plain_text_needs_no_schema(call):
    reply = call("text")
    assert (reply.text, reply.value, reply.structured, reply.error) == ("hello", "hello", None, None)


@pytest.mark.parametrize(
    ("model", "structured"),
    [("refusing", "json_object"), ("ignoring", "json_object"), ("tools-only", "tool_call")],
)
def test_an_endpoint_is_asked_in_the_way_it_takes(call, model, structured):
    replies = [call(model, f"question {n}", schema=SCHEMA) for n in range(5)]
    assert replies[-1].structured == structured
    assert set(replies[-1].value) == {"intent", "note"}
    assert replies[-1].calls == 1


def test_a_schema_without_an_object_at_its_root_comes_back_unwrapped(call):
    assert call("good", schema={"enum": ["refund", "card"]}).value in ("refund", "card")


def test_tokens_come_with_log_probabilities_and_alternatives(call):
    reply = call("good", schema=SCHEMA, top_logprobs=3)
    assert "".join(token.token for token in reply.logprobs) == reply.text
    assert all(token.logprob <= 0 and len(token.top) <= 3 for token in reply.logprobs)
    assert any(len(token.top) == 3 for token in reply.logprobs)


def test_a_rate_limit_names_the_wait_and_the_limits(call):
    assert call("limited").error is None
    reply = call("limited")
    assert reply.error is ErrorKind.RATE
    assert 0 < reply.retry_after_s <= 1
    assert reply.limits["x-ratelimit-limit-requests"] == "60"


def test_limits_are_told_with_an_answer_as_well(call, url):
    time.sleep(1.1)
    assert call("limited").limits["x-ratelimit-remaining-requests"] == "0"


def test_a_prompt_beyond_the_context_is_told_from_other_bad_requests(call):
    assert call("small", "x" * 400).error is ErrorKind.CONTEXT_LENGTH


def test_cached_tokens_are_counted_and_cheaper(call):
    price = Price(input=10, cached_input=1, output=0)
    first, second = (call("cached", "s" * 4000 + str(n), price=price) for n in range(2))
    assert (first.usage.cached_tokens, second.usage.cached_tokens) == (0, 896)
    assert second.cost_usd < first.cost_usd / 3


def test_unknown_usage_makes_an_unknown_cost(call):
    reply = call("zero_usage", schema=SCHEMA, price=Price(input=1, output=1))
    assert (reply.usage.input_tokens, reply.cost_usd) == (None, None)


def test_a_hang_is_bounded_by_the_timeout(call):
    started = time.monotonic()
    reply = call("hang")
    assert reply.error is ErrorKind.TIMEOUT
    assert 0.9 < time.monotonic() - started < 2


def test_a_server_that_is_not_there_is_a_connection_error(gateway, loop):
    model = Model(name="openai/x", api_base="http://127.0.0.1:9/v1")
    reply = loop.run_until_complete(gateway.call(Call(model=model, messages=({"role": "user", "content": "q"},))))
    assert reply.error is ErrorKind.CONNECTION


#: litellm falls over each before anything is sent, and calls it a lost connection or a bug of its own.
UNFIT: dict[str, tuple[dict[str, object], ...]] = {
    "no content": ({"role": "developer"}, {"role": "user", "content": "q"}),
    "a part of no type": ({"role": "user", "content": [{"a": 1}]},),
}


@pytest.mark.parametrize("messages", UNFIT.values(), ids=UNFIT.keys())
def test_a_request_that_fits_no_form_is_its_senders_fault_and_costs_nothing(gateway, loop, messages):
    call = Call(model=Model(name="openai/x", api_base="http://127.0.0.1:9/v1"), messages=messages)
    reply = loop.run_until_complete(gateway.call(call))
    assert (reply.error, reply.cost_usd) == (ErrorKind.BAD_REQUEST, 0.0)
    with pytest.raises(PassError) as told:
        loop.run_until_complete(gateway.pass_on(call))
    assert told.value.status == 400


def test_cancelling_a_call_raises_and_leaves_the_next_one_whole(gateway, loop, url, call):
    async def cancel():
        model = Model(name="openai/slow", api_base=f"{url}/v1")
        task = asyncio.create_task(gateway.call(Call(model=model, messages=({"role": "user", "content": "q"},))))
        await asyncio.sleep(0.1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(cancel())
    assert call("good").error is None


def test_a_missing_key_is_told_by_its_variable(call):
    reply = call("good", key="FIRSTLINE_TEST_NO_SUCH_KEY")
    assert reply.error is ErrorKind.NO_KEY
    assert "FIRSTLINE_TEST_NO_SUCH_KEY" in reply.detail


def test_a_key_is_read_from_the_environment_and_never_told(call, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_TEST_KEY", KEY)
    assert call("good", key="FIRSTLINE_TEST_KEY").error is None
    assert KEY not in str(call("auth", key="FIRSTLINE_TEST_KEY"))


def test_the_key_of_openai_is_not_sent_to_another_server(gateway, loop, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    heard = []

    async def listen(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async def ask():
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await gateway.call(
            Call(model=Model(name="openai/x", api_base=base), messages=({"role": "user", "content": "q"},))
        )
        server.close()

    loop.run_until_complete(ask())
    assert heard
    assert KEY.encode() not in heard[0]


def test_connections_are_used_again(gateway, loop, url):
    async def many():
        model = Model(name="openai/good", api_base=f"{url}/v1")
        calls = [Call(model=model, messages=({"role": "user", "content": f"q{n}"},)) for n in range(200)]
        return await asyncio.gather(*map(gateway.call, calls))

    assert [reply.error for reply in loop.run_until_complete(many())] == [None] * 200


def test_a_recorded_run_is_replayed_without_keys(gateway, loop, url, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_TEST_KEY", KEY)
    path = tmp_path / "run.jsonl"
    recorder = RecordingGateway(gateway, path)
    model = Model(name="openai/good", api_base=f"{url}/v1", api_key_env="FIRSTLINE_TEST_KEY")
    calls = [
        Call(model=model, messages=({"role": "user", "content": f"q{n}"},), schema=SCHEMA, top_logprobs=2)
        for n in range(5)
    ]
    first = [loop.run_until_complete(recorder.call(call)) for call in calls]
    recorder.close()
    assert KEY not in path.read_text()
    assert all(Recording.model_validate_json(line).usage for line in path.read_text().splitlines())
    with running(Script(recordings=(str(path),))) as replayer:
        there = model.evolve(api_base=f"{replayer}/v1")
        again = [loop.run_until_complete(gateway.call(replace(call, model=there))) for call in calls]
        unknown = loop.run_until_complete(
            gateway.call(replace(calls[0], model=there, messages=({"role": "user", "content": "new"},)))
        )
    assert [(one.value, one.usage, one.logprobs) for one in again] == [
        (one.value, one.usage, one.logprobs) for one in first
    ]
    assert (unknown.error, unknown.calls) == (ErrorKind.INPUT, 1)


def test_litellm_puts_requests_together_on_the_loop_where_the_key_is_at_hand(warm, url):
    """Should litellm hand its work on in another way, it only takes longer: this is where it would be noticed."""
    handed: list[bool] = []

    def never_waits(work: Any) -> bool:
        handed.append(warm.never_waits(work))
        return handed[-1]

    async def ask(name: str, **params: Any) -> Reply:
        asyncio.get_running_loop().set_default_executor(Threads(never_waits))
        model = Model(name=name, api_base=f"{url}/v1", params=params)
        return await warm.call(Call(model=model, messages=({"role": "user", "content": "hello"},), timeout_s=5.0))

    assert asyncio.run(ask("openai/text")).text == "hello"
    assert handed.pop(0)
    # What the OpenAI client looks up of its machine is its own matter.
    assert not any(handed)
    handed.clear()
    # Amazon's credentials may come from another server.
    asyncio.run(ask("bedrock/anthropic.claude-3-haiku"))
    asyncio.run(ask("openai/anthropic.claude-3-haiku", custom_llm_provider="bedrock"))
    assert len(handed) >= 2
    assert not any(handed)


def test_litellm_is_loaded_by_nothing_but_load():
    probe = (
        "import sys, firstline.workers.providers.litellm_gateway, firstline.workers.simulator.server; "
        "print('litellm' in sys.modules)"
    )
    import subprocess

    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout.lower()) is False


@pytest.fixture
def file_of(tmp_path):
    """Serve a file of a Batch API's answers, packed; return where."""
    served: list[ThreadingHTTPServer] = []

    def serve(body: bytes) -> str:
        class Files(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                packed = gzip.compress(body)
                self.send_response(200)
                self.send_header("content-encoding", "gzip")
                self.send_header("content-length", str(len(packed)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(packed)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        served.append(ThreadingHTTPServer(("127.0.0.1", 0), Files))
        threading.Thread(target=served[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{served[-1].server_port}/v1"

    yield serve
    for server in served:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("lines", [10, 20_000], ids=["short", "a bomb"])
def test_a_file_of_a_batch_apis_answers_has_an_end(gateway, loop, file_of, monkeypatch, lines):
    monkeypatch.setattr("firstline.workers.providers.batches.openai.MOST_BYTES", 1_000_000)
    line = json.dumps({"custom_id": "q", "response": {"status_code": 200, "body": {"choices": [], "usage": {}}}})
    model = Model(name="openai/good", api_base=file_of(f"{line}\n".encode() * lines))
    answers = gateway.batch_api.answers(model, Progress(True, ("file-1",)), {"q": Call(model, ())})
    if lines == 10:
        assert loop.run_until_complete(answers).keys() == {"q"}
        return
    with pytest.raises(BatchError, match="is longer than") as caught:
        loop.run_until_complete(answers)
    assert caught.value.reply.error is ErrorKind.MALFORMED
