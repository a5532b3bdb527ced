"""The ladder of ways to ask for JSON."""

import asyncio
import json
from dataclasses import replace

import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.fake import ScriptedGateway, ScriptError, say
from firstline.workers.providers.gateway import Call, Reply, ToolCall
from firstline.workers.providers.mode_memory import ModeMemory
from firstline.workers.providers.structured_call import ask_for_json
from firstline.workers.providers.structured_output import (
    ask,
    instruct,
    is_strict,
    without_instruction,
    wrap,
)

OBJECT = {
    "type": "object",
    "properties": {"intent": {"enum": ["refund", "card"]}, "note": {"type": "string"}},
    "required": ["intent", "note"],
    "additionalProperties": False,
}
ENUM = {"enum": ["refund", "card"]}
GOOD = {"intent": "card", "note": "lost"}
MESSAGES = ({"role": "system", "content": "Sort."}, {"role": "user", "content": "I lost my card"})
MODEL = Model(name="openai/small", api_base="http://127.0.0.1:1/v1")
CALL = Call(model=MODEL, messages=MESSAGES, schema=OBJECT)


def refuses(detail="response_format is not supported", kind=ErrorKind.BAD_REQUEST):
    return Reply(error=kind, detail=detail)


def run(script, call=CALL, memory=None):
    gateway = ScriptedGateway(script)
    reply = asyncio.run(ask_for_json(call, gateway.call, memory or ModeMemory()))
    gateway.assert_done()
    return reply, gateway.calls


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        pytest.param(OBJECT, True, id="closed object"),
        pytest.param(OBJECT | {"additionalProperties": True}, False, id="open object"),
        pytest.param({k: v for k, v in OBJECT.items() if k != "additionalProperties"}, False, id="silent on others"),
        pytest.param(OBJECT | {"required": ["intent"]}, False, id="optional property"),
        pytest.param(wrap({"type": "array", "items": OBJECT}), True, id="closed objects in an array"),
        pytest.param(wrap({"type": "array", "items": {"type": "object"}}), False, id="open objects in an array"),
        pytest.param(wrap({"allOf": [OBJECT]}), False, id="keyword that strict mode lacks"),
        pytest.param(
            wrap({"type": "object", "properties": {}, "required": [], "additionalProperties": False}), True, id="empty"
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"not": {"type": "string"}},
                "required": ["not"],
                "additionalProperties": False,
            },
            True,
            id="property named like a keyword",
        ),
    ],
)
def test_strict_mode_is_asked_for_only_where_the_schema_qualifies(schema, strict):
    assert is_strict(schema) is strict
    sent = ask(Structured.JSON_SCHEMA, MESSAGES, schema, "answer").params["response_format"]["json_schema"]
    assert sent["strict"] is strict


@pytest.mark.parametrize("schema", [ENUM, {"type": "array", "items": {"type": "integer"}}, {"type": "number"}])
def test_a_schema_without_an_object_at_its_root_is_wrapped(schema):
    asked = ask(Structured.JSON_SCHEMA, MESSAGES, schema, "answer")
    assert asked.schema["properties"]["answer"] == schema
    assert asked.wrapped


def test_definitions_move_to_the_root_of_the_wrapping():
    schema = {"type": "array", "items": {"$ref": "#/$defs/part"}, "$defs": {"part": {"type": "string"}}}
    assert wrap(schema)["$defs"] == {"part": {"type": "string"}}
    assert "$defs" not in wrap(schema)["properties"]["answer"]


@pytest.mark.parametrize("messages", [MESSAGES, MESSAGES[1:]], ids=["with a system message", "without one"])
def test_the_instruction_can_be_taken_out_again(messages):
    assert without_instruction(instruct(messages, OBJECT)) == (messages, OBJECT)


def test_messages_without_an_instruction_stay_as_they_are():
    assert without_instruction(MESSAGES) == (MESSAGES, None)


def test_a_strong_endpoint_gets_a_json_schema():
    reply, calls = run([say(GOOD)])
    assert (reply.value, reply.structured, reply.error) == (GOOD, "json_schema", None)
    assert calls[0].params["response_format"]["type"] == "json_schema"
    assert calls[0].schema is None


def test_a_refused_way_to_ask_costs_nothing_and_the_next_one_follows_in_the_same_call():
    wish = ToolCall("1", "answer", GOOD, json.dumps(GOOD))
    reply, calls = run([refuses(), say("", text=None, tool_calls=(wish,))])
    assert (reply.value, reply.structured, reply.calls) == (GOOD, "tool_call", 1)
    assert reply.tool_calls == ()
    assert calls[1].params["tool_choice"]["function"]["name"] == "answer"


def test_what_worked_is_remembered_for_the_endpoint_alone():
    memory = ModeMemory()
    run([refuses(), refuses(), say(GOOD)], memory=memory)
    reply, _ = run([say(GOOD)], memory=memory)
    assert reply.structured == "json_object"
    elsewhere = replace(CALL, model=Model(name=MODEL.name, api_base="http://127.0.0.1:2/v1"))
    assert run([say(GOOD)], elsewhere, memory)[0].structured == "json_schema"


def test_a_bad_request_in_every_mode_is_reported_and_nothing_is_remembered():
    memory = ModeMemory()
    reply, calls = run([refuses("no such argument")] * 4, memory=memory)
    assert (reply.error, len(calls)) == (ErrorKind.BAD_REQUEST, 4)
    assert run([say(GOOD)], memory=memory)[0].structured == "json_schema"


def test_a_schema_that_the_endpoint_finds_invalid_says_nothing_of_other_schemas():
    memory = ModeMemory()
    reply, _ = run([refuses("Invalid schema for response_format 'answer'"), say(GOOD)], memory=memory)
    assert reply.structured == "tool_call"
    assert run([say(GOOD)], memory=memory)[0].structured == "tool_call"
    assert run([say({"answer": "card"})], replace(CALL, schema=ENUM), memory)[0].structured == "json_schema"


@pytest.mark.parametrize("ignorant", ["The intent is card.", '{"other": 1}'], ids=["prose", "off schema"])
def test_an_endpoint_that_ignores_the_schema_is_asked_once_more_and_both_answers_are_accounted(ignorant):
    first = Reply(text=ignorant, usage=Usage(input_tokens=10, output_tokens=7), cost_usd=0.25)
    reply, calls = run([first, say(GOOD, cost_usd=0.5)])
    assert (reply.value, reply.structured, reply.calls) == (GOOD, "json_object", 2)
    assert reply.usage == Usage(input_tokens=20, output_tokens=12)
    assert reply.cost_usd == 0.75
    assert json.dumps(OBJECT, separators=(",", ":")) in calls[1].messages[0]["content"]


def test_a_cost_of_which_one_part_is_unknown_is_unknown():
    reply, _ = run([say("The intent is card.", cost_usd=None), say(GOOD, cost_usd=0.5)])
    assert reply.cost_usd is None


def test_an_answer_in_hand_outlives_the_failure_of_the_second_try():
    reply, _ = run([say("The intent is card."), Reply(error=ErrorKind.RATE, detail="slow down")])
    assert (reply.error, reply.calls) == (ErrorKind.MALFORMED, 1)


def test_a_way_that_was_ignored_twice_is_left_for_good():
    memory = ModeMemory()
    for _ in range(2):
        run([say("prose"), say(GOOD)], memory=memory)
    assert memory.modes(MODEL, OBJECT)[0] is Structured.TOOL_CALL


def test_a_proven_endpoint_is_not_left_for_one_slip():
    memory = ModeMemory()
    for _ in range(3):
        run([say(GOOD)], memory=memory)
    reply, calls = run([say("prose")], memory=memory)
    assert (reply.error, reply.structured, len(calls)) == (ErrorKind.MALFORMED, "json_schema", 1)
    assert run([say(GOOD)], memory=memory)[0].structured == "json_schema"


@pytest.mark.parametrize(
    "kind", [ErrorKind.RATE, ErrorKind.SERVER, ErrorKind.TIMEOUT, ErrorKind.AUTH, ErrorKind.TRUNCATED]
)
def test_other_failures_end_the_call(kind):
    reply, calls = run([Reply(error=kind, detail="no", text="{")])
    assert (reply.error, len(calls)) == (kind, 1)


def test_the_modes_that_a_model_is_said_not_to_take_are_not_tried():
    memory = ModeMemory(can=lambda model, mode: mode is not Structured.JSON_SCHEMA)
    assert memory.modes(MODEL, OBJECT)[0] is Structured.TOOL_CALL


def test_a_call_that_offers_tools_is_not_forced_to_answer_by_one():
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    wish = ToolCall("1", "look_up", {"q": "x"}, '{"q": "x"}')
    reply, calls = run([refuses(), say("", text=None, tool_calls=(wish,))], replace(CALL, tools=(tool,)))
    assert reply.tool_calls == (wish,)
    assert calls[1].params["response_format"] == {"type": "json_object"}


def test_a_scripted_gateway_complains_when_its_script_runs_out():
    with pytest.raises(ScriptError, match=r"no line for call 1 to openai/small: I lost my card"):
        run([])


def test_a_scripted_gateway_complains_about_lines_never_asked_for():
    with pytest.raises(ScriptError, match="1 lines"):
        run([say(GOOD), say(GOOD)])
