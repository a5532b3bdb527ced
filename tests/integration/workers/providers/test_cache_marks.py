"""Marks for prompt caches in real HTTP requests, and a fan-out against the simulator that plays such a cache."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import Batch
from firstline.schemas.tier import Model, Price, Tier
from firstline.workers.providers.gateway import Call
from firstline.workers.providers.litellm_gateway import LitellmGateway, load
from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import parse_script
from tests.integration.workers.providers.canned import Canned, canned_server
from tests.unit.worker_rig import Rig, simple, skill

SYSTEM = {"role": "system", "content": "Sort it."}
EXAMPLE = ({"role": "user", "content": "an example"}, {"role": "assistant", "content": "a"})
BREAKPOINTS = {"marks": "breakpoint"}


@pytest.fixture(scope="module")
def gateway() -> LitellmGateway:
    return load()


@pytest.fixture(scope="module")
def server() -> Iterator[Canned]:
    with canned_server() as canned:
        canned.answer({"error": {"message": "no"}}, status=400)
        yield canned


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PROVIDER_KEY"):
        monkeypatch.setenv(name, "key")


def sent(gateway: LitellmGateway, server: Canned, name: str, cached: bool | None, **more: Any) -> Any:
    """Return the body of a call as it came over HTTP."""
    base = f"{server.url}/v1" if name.startswith("openai/") else server.url
    model = Model.model_validate({"name": name, "api_base": base, "api_key_env": "PROVIDER_KEY", **more})
    messages = (SYSTEM, *EXAMPLE, {"role": "user", "content": "an item"})
    asyncio.run(gateway.call(Call(model, messages, timeout_s=10, static=3, cached=cached)))
    return server.asked[-1][1]


def test_anthropic_is_told_where_the_static_part_ends(gateway: LitellmGateway, server: Canned) -> None:
    body = sent(gateway, server, "anthropic/claude-haiku-5-5", True)
    # The last message of ours before the items: the model's own bears no mark.
    assert body["messages"][0]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert json.dumps(body).count("cache_control") == 1


def test_bedrock_gets_a_cache_point(gateway: LitellmGateway, server: Canned) -> None:
    name = "bedrock/us.anthropic.claude-haiku-5-5"
    body = sent(gateway, server, name, True, params={"aws_region_name": "us-east-1"})
    assert body["messages"][0]["content"][-1] == {"cachePoint": {"type": "default"}}
    assert json.dumps(body).count("cachePoint") == 1


def test_openai_gets_a_breakpoint_and_writes_nothing_else(gateway: LitellmGateway, server: Canned) -> None:
    body = sent(gateway, server, "openai/gpt-6-luna", True, prompt_cache=BREAKPOINTS)
    assert body["prompt_cache_options"] == {"mode": "explicit"}
    assert len(body["prompt_cache_key"]) == 32
    assert body["messages"][1]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert json.dumps(body).count("prompt_cache_breakpoint") == 1


def test_where_nothing_is_read_openai_is_to_write_nothing(gateway: LitellmGateway, server: Canned) -> None:
    body = sent(gateway, server, "openai/gpt-6-luna", False, prompt_cache=BREAKPOINTS)
    assert body["prompt_cache_options"] == {"mode": "explicit"}
    assert "breakpoint" not in json.dumps(body["messages"])


@pytest.mark.parametrize(
    ("name", "cached"),
    [("anthropic/claude-haiku-5-5", None), ("openai/gpt-4o-mini", True), ("gemini/gemini-3.5-flash-lite", True)],
)
def test_all_others_are_told_nothing(name: str, cached: bool | None, gateway: LitellmGateway, server: Canned) -> None:
    assert "cache" not in json.dumps(sent(gateway, server, name, cached))


@pytest.mark.parametrize("name", ["anthropic/claude-haiku-5-5", "openai/gpt-6-luna"])
def test_a_batch_bears_the_marks_too(name: str, gateway: LitellmGateway) -> None:
    call = Call(Model(name=name), (SYSTEM, {"role": "user", "content": "an item"}), static=1, cached=True)
    request = asyncio.run(gateway.batch_api.requests({"one": call}))["one"]
    mark = "cache_control" if name.startswith("anthropic") else "prompt_cache_breakpoint"
    assert json.dumps(request.body).count(mark) == 1


# A fan-out ------------------------------------------------------------------------------------------------------------

PRICE = Price(input=1, cached_input=0.1, cache_write=1.25, output=5, source="test")
SCRIPT = """
models:
  "*": {answer: {kind: fixed, text: '{"label": "a"}'}, latency: 0.15, cache_from_tokens: 1024, cache_unmarked: false}
"""


@pytest.mark.parametrize(
    ("name", "more"),
    [("anthropic/claude-haiku-5-5", {}), ("openai/gpt-6-luna", {"prompt_cache": BREAKPOINTS})],
)
@pytest.mark.parametrize(
    ("words", "marked"), [pytest.param(2000, True, id="long"), pytest.param(100, False, id="too short")]
)
def test_one_call_of_a_fan_out_writes_the_prefix_and_the_bill_is_the_providers(
    name: str, more: dict[str, Any], words: int, marked: bool, gateway: LitellmGateway, tmp_path: Path
) -> None:
    log = tmp_path / "paid.jsonl"
    with running(parse_script(SCRIPT), log=log) as url:
        base = f"{url}/v1" if name.startswith("openai/") else url
        model = Model.model_validate(
            {"name": name, "api_base": base, "api_key_env": "PROVIDER_KEY", "price": PRICE, "structured": ["prompt"]}
            | more
        )
        of = skill(instructions="word " * words)
        given: Batch = simple(*map(str, range(8)), of=of, tier=Tier(name="cheap", models=(model,)))
        attempts: list[Attempt] = [one for item in Rig(gateway).run(given).items for one in item.attempts]
    paid = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(paid) == len(attempts) == 8
    written = [call for call in paid if call["cache_write_tokens"]]
    read = [call for call in paid if call["cached_tokens"]]
    assert (len(written), len(read)) == ((1, 7) if marked else (0, 0))
    assert sum(one.cost_usd or 0 for one in attempts) == pytest.approx(sum(map(dollars, paid)), rel=1e-9)


def dollars(call: dict[str, Any]) -> float:
    """What the simulator's ledger says that a call costs, at the prices above."""
    plain = call["input_tokens"] - call["cached_tokens"] - call["cache_write_tokens"]
    millionths = plain + 0.1 * call["cached_tokens"] + 1.25 * call["cache_write_tokens"] + 5 * call["output_tokens"]
    return float(millionths) / 1e6
