"""Each provider's wire format over real HTTP, played by a server that answers and refuses as the provider does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model, Price, Structured
from firstline.schemas.tool import ToolResult
from firstline.workers.prompts.prompt import ToolRound, messages
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.litellm_gateway import LitellmGateway, load
from firstline.workers.providers.mode_memory import ModeMemory
from tests.integration.workers.providers.canned import Canned, Response, canned_server
from tests.integration.workers.providers.wire_formats.anthropic import Anthropic
from tests.integration.workers.providers.wire_formats.chat import Azure, DeepSeek, Mistral
from tests.integration.workers.providers.wire_formats.converse import Converse
from tests.integration.workers.providers.wire_formats.form import Asked, Finish, Said, WireFormat, Wish
from tests.integration.workers.providers.wire_formats.gemini import Gemini
from tests.integration.workers.providers.wire_formats.responses import Responses, Unstored
from tests.unit.worker_rig import LABEL, A, skill

FORMATS: dict[str, WireFormat] = {
    "Anthropic Messages": Anthropic(),
    "Gemini generateContent": Gemini(),
    "OpenAI Responses": Responses(),
    "Bedrock Converse": Converse(),
    "Mistral": Mistral(),
    "DeepSeek": DeepSeek(),
    "Azure OpenAI": Azure(),
}
PRICE = Price(input=1, cached_input=0.1, cache_write=1.25, cache_write_long=2, output=5, reasoning=7)
SORT = skill()
LOOK_UP: JsonObject = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


@pytest.fixture(scope="module")
def gateway() -> LitellmGateway:
    return load()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Canned]:
    with canned_server() as canned:
        yield canned


@dataclass
class Stage:
    """One provider, played; what it was asked is kept."""

    form: WireFormat
    server: Canned
    gateway: LitellmGateway
    loop: asyncio.AbstractEventLoop
    asked: list[Asked] = field(default_factory=list)

    def plays(self, *turns: Said | Response, takes: tuple[Structured, ...] = tuple(Structured)) -> None:
        """Answer with each turn once and then for ever with the last; a way of asking that it does not take is refused.

        A value goes where it is asked for: into the tool that the request forces, or the text.
        """
        left = list(turns)
        sealed: dict[str, str] = {}

        def play(path: str, body: Any) -> Response:
            asked = self.form.read(body)
            self.asked.append(asked)
            assert path == self.form.path
            if asked.mode is not Structured.PROMPT and asked.mode not in takes:
                return self.form.refuses(asked.mode)
            if self.form.unsealed is not None and not sealed.items() <= asked.seals.items():
                return self.form.unsealed
            turn = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(turn, Response):
                return turn
            if turn.seal and turn.wishes:
                sealed[turn.wishes[0].id] = turn.seal
            if asked.forced is not None and turn.text is not None and turn.finish is Finish.STOP:
                given = Wish(self.form.ids[0], asked.forced, json.loads(turn.text))
                turn = replace(turn, text=None, wishes=(given,))
            answer = self.form.write(turn)
            self.form.vouch(body, answer)
            return Response(answer)

        self.server.play = play

    def ask(self, schema: JsonObject | None = LABEL, **more: Any) -> Reply:
        base = f"{self.server.url}{self.form.base}"
        model = Model(
            name=self.form.model, api_base=base, api_key_env="PROVIDER_KEY", params=self.form.params, price=PRICE
        )
        given = {"messages": messages(SORT, {"text": "hello"}), "schema": schema, "timeout_s": 60, **more}
        return self.loop.run_until_complete(self.gateway.call(Call(model, **given)))


@pytest.fixture
def stage_of(
    server: Canned, gateway: LitellmGateway, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> Callable[[WireFormat], Stage]:
    """Play any provider, to a gateway that knows nothing of it yet."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PROVIDER_KEY"):
        monkeypatch.setenv(name, "key")
    monkeypatch.setattr(gateway, "modes", ModeMemory(can=gateway._can))
    return lambda form: Stage(form, server, gateway, loop)


@pytest.fixture(params=FORMATS)
def stage(request: pytest.FixtureRequest, stage_of: Callable[[WireFormat], Stage]) -> Stage:
    return stage_of(FORMATS[request.param])


ANSWER = Said(json.dumps(A))


def lacking(stage: Stage, scene: str) -> None:
    """Skip a scene that this provider does not have, and say why."""
    if (reason := stage.form.lacks.get(scene)) is not None:
        pytest.skip(reason)


def cost_of(usage: Usage) -> float:
    """Return what tokens cost at PRICE, kind by kind."""
    written, long = usage.cache_write_tokens or 0, usage.cache_write_long_tokens or 0
    cached, thought = usage.cached_tokens or 0, usage.reasoning_tokens or 0
    plain, said = (usage.input_tokens or 0) - cached - written, (usage.output_tokens or 0) - thought
    return (plain + 0.1 * cached + 1.25 * (written - long) + 2 * long + 5 * said + 7 * thought) / 1e6


def billed(reply: Reply) -> tuple[dict[str, int], float | None]:
    """Return the tokens of a reply, without the kinds that are none, and its dollars."""
    return {kind: count for kind, count in reply.usage.model_dump().items() if count}, reply.cost_usd


def bill(form: WireFormat) -> tuple[dict[str, int], Any]:
    """Return what `billed` has to be for any answer of a provider."""
    return {kind: count for kind, count in form.usage.model_dump().items() if count}, pytest.approx(cost_of(form.usage))


def test_json_is_asked_for_by_the_best_mode_and_what_is_refused_once_is_not_asked_again(stage):
    stage.plays(ANSWER, takes=stage.form.modes)
    replies = [stage.ask() for _ in range(2)]
    assert [(reply.value, reply.structured) for reply in replies] == [(A, stage.form.modes[0])] * 2
    refused = list(Structured)[: list(Structured).index(stage.form.modes[0])]
    assert [asked.mode for asked in stage.asked] == [*refused, stage.form.modes[0], stage.form.modes[0]]
    assert [mode for reply in replies for mode in (one.mode for one in reply.refusals)] == refused


def test_a_model_that_refuses_the_best_mode_is_asked_in_the_next_one_from_then_on(stage):
    stage.plays(ANSWER, takes=stage.form.modes[1:])
    replies = [stage.ask() for _ in range(2)]
    assert [reply.value for reply in replies] == [A, A]
    assert [len(reply.refusals) for reply in replies] == [len(stage.asked) - 2, 0]
    assert stage.asked[-1].mode is stage.asked[-2].mode is stage.form.modes[1]
    assert replies[1].structured == stage.form.modes[1]
    # A request that is refused costs nothing.
    assert [billed(reply) for reply in replies] == [bill(stage.form)] * 2


@pytest.mark.parametrize("sealed", [False, True], ids=["thoughts", "thoughts that nobody may read"])
def test_two_rounds_of_tools_carry_ids_results_and_thoughts_back(stage, sealed):
    if sealed:
        lacking(stage, "hidden thoughts")
    take_two_rounds(stage, sealed=sealed)


def test_responses_that_are_stored_nowhere_carry_their_reasoning_encrypted(stage_of):
    take_two_rounds(stage_of(Unstored()), sealed=False)


def take_two_rounds(stage: Stage, *, sealed: bool) -> None:
    """Ask, answer two rounds of tool calls, and look what the provider was told in the end."""
    first, second = stage.form.ids
    thoughts = [None if sealed else f"the word {word}, I think" for word in ("one", "two")]
    seals = [stage.form.seal(*both) for both in zip(thoughts, ("c2VhbDA=", "c2VhbDE="), strict=True)]
    stage.plays(
        Said(None, thoughts[0], seals[0], (Wish(first, "look_up", {"word": "one"}),)),
        Said("And now:", thoughts[1], seals[1], (Wish(second, "look_up", {"word": "two"}),)),
        replace(ANSWER, thoughts="now I know"),
    )
    rounds: list[ToolRound] = []
    for result in ("1", "2"):
        reply = stage.ask(tools=(LOOK_UP,), messages=messages(SORT, {"text": "hello"}, tool_results=rounds))
        assert reply.error is None, reply
        assert billed(reply) == bill(stage.form)
        rounds.append(ToolRound(reply.tool_calls, (ToolResult(value=result),), reply.text, reply.message))
    assert [call.arguments for done in rounds for call in done.calls] == [{"word": "one"}, {"word": "two"}]
    last = stage.ask(tools=(LOOK_UP,), messages=messages(SORT, {"text": "hello"}, tool_results=rounds))
    assert (last.value, last.error, last.tool_calls) == (A, None, ())
    told = stage.asked[-1]
    assert told.offered == ("look_up",)
    assert [*told.results] == [first, second]
    assert ["1" in told.results[first], "2" in told.results[second]] == [True, True]
    if stage.form.unsealed is not None:
        assert list(told.seals.values()) == seals


@pytest.mark.parametrize("schema", [LABEL, None], ids=["JSON", "text"])
def test_what_a_model_thought_is_none_of_its_answer(stage, schema):
    lacking(stage, "thoughts")
    stage.plays(Said(json.dumps(A), thoughts='{"label": "b"} comes to mind first', seal="c2VhbDA="))
    reply = stage.ask(schema=schema)
    assert (reply.value, reply.error) == (A if schema else json.dumps(A), None)
    assert "mind" not in (reply.text or "")
    assert billed(reply) == bill(stage.form)


ENDS = {
    Finish.STOP: None,
    Finish.LENGTH: ErrorKind.TRUNCATED,
    Finish.FILTERED: ErrorKind.CONTENT_FILTER,
    Finish.REFUSED: ErrorKind.REFUSED,
}


@pytest.mark.parametrize("finish", ENDS)
@pytest.mark.parametrize("schema", [LABEL, None], ids=["JSON", "text"])
def test_why_a_model_stopped_is_told_and_what_it_said_is_paid_for(stage, finish, schema):
    lacking(stage, finish)
    stage.plays(replace(ANSWER, finish=finish))
    reply = stage.ask(schema=schema)
    assert reply.error is ENDS[finish], reply
    assert (reply.value is None) == (finish is not Finish.STOP)
    assert billed(reply) == bill(stage.form)


def test_thoughts_that_use_up_all_tokens_are_told_from_a_long_answer(stage):
    lacking(stage, "thoughts")
    stage.plays(Said(None, thoughts="and on and on", finish=Finish.LENGTH))
    reply = stage.ask()
    assert (reply.error, "thoughts used up" in (reply.detail or "")) == (ErrorKind.TRUNCATED, True), reply
    assert billed(reply) == bill(stage.form)


FAULTS = [(name, fault) for name, form in FORMATS.items() for fault in (*form.throttled, *form.faults)]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_is_told_by_its_kind_in_the_providers_words(stage_of, name, fault):
    stage = stage_of(FORMATS[name])
    expected = (stage.form.throttled | stage.form.faults)[fault]
    stage.plays(expected.response)
    for schema in (None, LABEL):
        reply = stage.ask(schema=schema)
        assert (reply.error, reply.retry_after_s) == (expected.kind, expected.wait_s), reply
        assert expected.words in (reply.detail or "")
        assert (reply.cost_usd, reply.calls) == (expected.cost_usd, 1)


UNPROCESSABLE = {
    "an error's message": {"error": {"message": "temperature: must be at most 2", "type": "invalid", "code": 422}},
    "a plain message": {"message": "temperature: must be at most 2"},
    "a detail": {"detail": "temperature: must be at most 2"},
    "a list of details": {"detail": [{"loc": ["body", "temperature"], "msg": "must be at most 2", "type": "value"}]},
    "details within a message": {
        "object": "error",
        "message": {"detail": [{"loc": ["body", "temperature"], "msg": "must be at most 2"}]},
    },
    "text": "temperature: must be at most 2",
}


@pytest.mark.parametrize("body", UNPROCESSABLE.values(), ids=UNPROCESSABLE)
def test_a_422_keeps_its_message(stage, body):
    stage.plays(Response(body, 422))
    for schema in (None, LABEL):
        reply = stage.ask(schema=schema)
        assert (reply.error, reply.cost_usd) == (ErrorKind.BAD_REQUEST, 0.0), reply
        assert "temperature" in (reply.detail or "")
        assert "must be at most 2" in (reply.detail or "")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_every_format_plays_every_scene_or_says_why_not(form: WireFormat) -> None:
    assert {"overflow", "filtered before an answer"} <= form.faults.keys()
    assert ErrorKind.RATE in {fault.kind for fault in form.throttled.values()}
    assert form.lacks.keys() <= {"thoughts", "hidden thoughts", *Finish}


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_a_provider_says_how_long_to_wait_in_seconds_or_until_when(stage, kind):
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    fault = next(one for one in stage.form.throttled.values() if one.kind is ErrorKind.RATE).response
    wait = {"Retry-After": "12" if kind == "seconds" else until}
    stage.plays(replace(fault, headers={**wait}))
    reply = stage.ask()
    assert reply.error is ErrorKind.RATE
    assert reply.retry_after_s == (12 if kind == "seconds" else pytest.approx(80, abs=11))
