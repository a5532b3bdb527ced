"""Real models behind real HTTP; run with `pytest -m real_models` where `firstline models pull` has been run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from firstline.config.settings import get_settings
from firstline.workers.local_models.catalogue import CATALOGUE, installed

pytestmark = pytest.mark.real_models

INTENTS = ["card_lost", "cash_withdrawal", "exchange_rate"]
SCHEMA = {
    "type": "object",
    "properties": {"intent": {"type": "string", "enum": INTENTS}},
    "required": ["intent"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=list(CATALOGUE))
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    if request.param not in installed(get_settings().models_home):
        pytest.skip(f"`firstline models pull {request.param}` has not been run")
    command = [
        sys.executable,
        "-m",
        "firstline.workers.local_models.server",
        "--model",
        request.param,
        "--exit-with-parent",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["model"] == request.param
        yield f"http://127.0.0.1:{ready['port']}"
        process.terminate()
        assert process.wait(timeout=20) == 0


def ask(server: str, question: str, **more: Any) -> dict[str, Any]:
    system = "Say what the customer's question is about. " + "Answer with one intent as JSON. " * 20
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    body = {"model": "local", "temperature": 0, "max_tokens": 40, "messages": messages, **more}
    answer = httpx.post(f"{server}/v1/chat/completions", json=body, timeout=120)
    answer.raise_for_status()
    return answer.json()  # type: ignore[no-any-return]


def schema_format() -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def test_the_server_says_that_it_is_well(server: str) -> None:
    assert httpx.get(f"{server}/health").json() == {"status": "ok"}


def test_an_answer_keeps_to_its_schema(server: str) -> None:
    choice = ask(server, "I lost my card!", response_format=schema_format())["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert json.loads(choice["message"]["content"])["intent"] in INTENTS


def test_a_second_question_reuses_the_prompt_of_the_first(server: str) -> None:
    ask(server, "Where is my card?")
    usage = ask(server, "What is the rate for euros?")["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 0.8 * usage["prompt_tokens"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


def test_every_token_comes_with_its_log_probability_and_alternatives(server: str) -> None:
    choice = ask(server, "I lost my card!", response_format=schema_format(), logprobs=True, top_logprobs=5)["choices"][
        0
    ]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 5 for token in tokens)
