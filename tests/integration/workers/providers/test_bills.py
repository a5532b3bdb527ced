"""What answers cost, over real HTTP and in each provider's shape, beside litellm's own calculator."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest

from firstline.config.providers import price_list
from firstline.config.providers.prices import Terms
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.tier import Lane, Model, Price
from firstline.workers.providers.billing import cost_of, read_bill
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.litellm_gateway import LitellmGateway, load
from firstline.workers.rules.pricing import cost
from tests.integration.workers.providers.bills import BILLS, LUNA, chat, tokens
from tests.integration.workers.providers.canned import Canned, canned_server

#: Providers whose base URL ends before the version.
BARE = ("anthropic", "gemini", "azure", "bedrock")


@pytest.fixture(scope="module")
def gateway() -> LitellmGateway:
    return load()


@pytest.fixture(scope="module")
def server() -> Iterator[Canned]:
    with canned_server() as canned:
        yield canned


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PROVIDER_KEY"):
        monkeypatch.setenv(name, "key")


def model_at(server: Canned, name: str, **more: Any) -> Model:
    base = server.url if name.partition("/")[0] in BARE else f"{server.url}/v1"
    return Model.model_validate({"name": name, "api_base": base, "api_key_env": "PROVIDER_KEY", **more})


def ask(loop: asyncio.AbstractEventLoop, gateway: LitellmGateway, model: Model) -> Reply:
    return loop.run_until_complete(gateway.call(Call(model, ({"role": "user", "content": "hi"},), timeout_s=10)))


@pytest.mark.parametrize("name", BILLS)
def test_an_answer_costs_what_litellm_reckons_on_the_same_response(
    name: str,
    gateway: LitellmGateway,
    server: Canned,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, params, body = BILLS[name]
    server.answer(body)
    responses: list[Any] = []
    send = gateway._litellm.acompletion

    async def kept(**request: Any) -> Any:
        responses.append(await send(**request))
        return responses[-1]

    monkeypatch.setattr(gateway._litellm, "acompletion", kept)
    reply = ask(loop, gateway, model_at(server, model, params=params))
    try:
        oracle = gateway._litellm.completion_cost(
            responses[0], model=model, custom_llm_provider=model.partition("/")[0]
        )
    except Exception:
        oracle = None  # litellm lists no price for it
    assert reply.error is None
    assert reply.cost_usd == (None if not oracle else pytest.approx(oracle, abs=1e-9))


@pytest.mark.parametrize("lane", [None, Lane.FLEX, Lane.PRIORITY])
def test_every_listed_model_of_every_provider_in_the_docs_costs_what_litellm_reckons(
    lane: Lane | None, gateway: LitellmGateway
) -> None:
    """The list changes with every release of litellm: whole, so that a figure of a new shape is seen."""
    litellm, wrong, asked = gateway._litellm, [], 0
    for name, entry in (price_list.entries() or {}).items():
        provider = PROVIDERS.get(str(entry.get("litellm_provider")))
        if provider is None or entry.get("mode") not in ("chat", "responses") or not has_figures(entry, lane):
            continue
        full = name if name.startswith(f"{provider}/") else f"{provider}/{name}"
        if price_list.entry_of(full) is not entry:
            continue  # another one is listed under its full name
        for sent in (1000, 600_000):
            response = litellm.ModelResponse(
                model=full.partition("/")[2],
                usage=litellm.Usage(
                    prompt_tokens=sent,
                    completion_tokens=500,
                    total_tokens=sent + 500,
                    prompt_tokens_details={"cached_tokens": 300, "cache_creation_tokens": 200},
                    completion_tokens_details={"reasoning_tokens": 100},
                ),
            )
            if lane is not None:
                response.service_tier = lane.value
            oracle = litellm.completion_cost(response, model=full, custom_llm_provider=provider)
            ours = cost_of(read_bill(response, provider), Model(name=full)).usd
            asked += 1
            if ours is None or not math.isclose(ours, oracle, rel_tol=1e-9, abs_tol=1e-9):
                wrong.append((full, sent, oracle, ours))
    assert asked > 100
    assert wrong == []


#: As the list names a provider -> as a model's name begins. Perplexity is left out: litellm gives cache writes away.
PROVIDERS = {
    name: name for name in ("openai", "anthropic", "gemini", "deepseek", "mistral", "groq", "azure", "bedrock")
}
PROVIDERS |= {"bedrock_converse": "bedrock", "fireworks_ai": "fireworks_ai", "dashscope": "dashscope", "xai": "xai"}
PROVIDERS |= {"minimax": "minimax", "openrouter": "openrouter"}
#: litellm gives these one price on every lane, and their answers name none.
LANELESS = ("dashscope", "deepseek", "fireworks_ai", "xai", "openrouter")


def has_figures(entry: Any, lane: Lane | None) -> bool:
    """Say whether litellm lists what a lane costs; where it does not, it takes the standard price, and we take none."""
    if lane is None:
        return "input_cost_per_token" in entry or "tiered_pricing" in entry
    return entry["litellm_provider"] not in LANELESS and f"input_cost_per_token_{lane.value}" in entry


@pytest.mark.parametrize("name", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.5-flash-lite"])
@pytest.mark.parametrize("sent", [1000, 300_000])
def test_an_answer_of_a_batch_costs_what_litellm_reckons(name: str, sent: int, gateway: LitellmGateway) -> None:
    from litellm.cost_calculator import batch_cost_calculator

    usage = gateway._litellm.Usage(
        prompt_tokens=sent, completion_tokens=500, total_tokens=sent + 500, prompt_tokens_details={"cached_tokens": 300}
    )
    oracle = sum(batch_cost_calculator(usage, model=name, custom_llm_provider=name.partition("/")[0]))
    ours = cost(
        Usage(input_tokens=sent, cached_tokens=300, output_tokens=500),
        Model(name=name),
        Terms(prompt_tokens=sent, lane=Lane.BATCH),
    )
    assert ours.usd == pytest.approx(oracle, abs=1e-9)


def test_the_figure_of_a_router_goes_before_the_profiles_own(
    gateway: LitellmGateway, server: Canned, loop: asyncio.AbstractEventLoop
) -> None:
    model, _, body = BILLS["OpenRouter"]
    server.answer(body)
    reply = ask(loop, gateway, model_at(server, model, price=Price(input=100, output=100)))
    assert (reply.cost_usd, reply.price_source) == (0.00123, "stated by the provider")


def test_ones_own_key_at_a_router_pays_the_maker_too(
    gateway: LitellmGateway, server: Canned, loop: asyncio.AbstractEventLoop
) -> None:
    byok = {"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}
    server.answer(chat("m", tokens(1000, 100, **byok)))
    reply = ask(loop, gateway, model_at(server, "openrouter/some/model"))
    assert reply.cost_usd == pytest.approx(0.0021)


def test_a_cost_that_a_server_of_ones_own_claims_is_not_believed(
    gateway: LitellmGateway, server: Canned, loop: asyncio.AbstractEventLoop
) -> None:
    server.answer(chat("m", tokens(1000, 100, cost=123.0)))
    assert ask(loop, gateway, model_at(server, "hosted_vllm/m")).cost_usd is None


def test_an_attempt_says_on_which_lane_it_was_answered(
    gateway: LitellmGateway, server: Canned, loop: asyncio.AbstractEventLoop
) -> None:
    for body in ("flex", "default"):
        server.answer(chat("gpt-6-luna", tokens(1000, 100), service_tier=body))
        reply = ask(loop, gateway, model_at(server, LUNA, params={"service_tier": "flex"}))
        assert reply.lane == ("flex" if body == "flex" else "standard")


REFUSED = {
    429: {"error": {"message": "slow down"}},
    503: {"error": {"message": "busy"}},
    500: {"error": {"message": "failed"}},
    502: "<html>bad gateway</html>",
    400: {"error": {"message": "bad parameter"}},
    401: {"error": {"message": "no such key"}},
    404: {"error": {"message": "no such model"}},
}
ASKED = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "mistral/mistral-small-latest")


@pytest.mark.parametrize("model", ASKED)
@pytest.mark.parametrize("status", REFUSED)
def test_a_call_that_was_refused_costs_nothing(
    model: str, status: int, gateway: LitellmGateway, server: Canned, loop: asyncio.AbstractEventLoop
) -> None:
    server.answer(REFUSED[status], status=status)
    reply = ask(loop, gateway, model_at(server, model))
    assert reply.error is not None
    assert (reply.cost_usd, reply.price_source) == (0.0, "refused")


@pytest.mark.parametrize("model", ASKED)
@pytest.mark.parametrize(
    ("body", "missing"),
    [
        pytest.param('{"id": "x", "choices": [{"mess', 100, id="cut off"),
        pytest.param('{"id": "x", "choices": [{"mess', 0, id="cut short"),
        pytest.param("hello", 0, id="no JSON"),
        pytest.param("null", 0, id="null"),
    ],
)
def test_what_an_answer_cost_that_cannot_be_read_is_unknown(
    model: str,
    body: str,
    missing: int,
    gateway: LitellmGateway,
    server: Canned,
    loop: asyncio.AbstractEventLoop,
) -> None:
    server.answer(body, missing=missing)
    reply = ask(loop, gateway, model_at(server, model))
    assert reply.error is not None
    assert reply.cost_usd is None


def test_a_call_that_never_got_there_costs_nothing(gateway: LitellmGateway, loop: asyncio.AbstractEventLoop) -> None:
    reply = ask(loop, gateway, Model(name="openai/gpt-4o-mini", api_base="http://127.0.0.1:9/v1"))
    assert (reply.error, reply.cost_usd) == (ErrorKind.SERVER, 0.0) or (reply.error, reply.cost_usd) == (
        ErrorKind.CONNECTION,
        0.0,
    )
