"""The simulator on packs and tool calls: what a scripted model says to each."""

import json

import pytest

from firstline.schemas.base import JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.execution.packing import keys_of, packed_messages, packed_schema, unpack
from firstline.workers.prompts.prompt import messages
from firstline.workers.simulator.engine import Engine
from firstline.workers.simulator.script import parse_script

SORT = Skill.model_validate(
    {
        "name": "sort",
        "instructions": "Sort it.",
        "input": {"text": {}},
        "output": {"type": "object", "properties": {"label": {"enum": ["a", "b", "c", "d"]}}, "required": ["label"]},
    }
)
ITEMS: list[JsonObject] = [{"text": f"text {n}"} for n in range(12)]
OFFERED = [{"type": "function", "function": {"name": "add", "parameters": {}}}]


def engine(rule: str) -> Engine:
    return Engine(parse_script(f"models:\n  m: {rule}\n"))


def ask(played: Engine, given: object, schema: JsonObject, **more: object) -> JsonObject:
    formed = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"model": "m", "messages": given, "response_format": formed, **more}
    outcome = played.answer(json.loads(json.dumps(body)))
    assert outcome.status == 200, outcome.body
    return outcome.body["choices"][0]["message"]


def test_each_item_of_a_pack_is_answered_as_if_it_had_come_alone():
    played = engine("{answer: from_schema}")
    together = ask(played, packed_messages(SORT, ITEMS), packed_schema(SORT))
    alone = [json.loads(ask(played, messages(SORT, item), SORT.output)["content"]) for item in ITEMS]
    assert unpack(json.loads(together["content"]), keys_of(ITEMS)) == dict(enumerate(alone))
    assert len({answer["label"] for answer in alone}) > 1


def test_items_of_a_pack_are_right_or_wrong_each_by_itself():
    right = ask(engine("{answer: from_schema}"), packed_messages(SORT, ITEMS), packed_schema(SORT))
    mixed = ask(
        engine("{answer: {kind: from_schema, accuracy: 0.5}}"), packed_messages(SORT, ITEMS), packed_schema(SORT)
    )
    answers = (unpack(json.loads(said["content"]), keys_of(ITEMS)) for said in (right, mixed))
    same = sum(one == other for one, other in zip(*(found.values() for found in answers), strict=True))
    assert 0 < same < len(ITEMS)


def test_scripted_calls_come_one_a_round_and_then_the_answer():
    played = engine("{tool_calls: [{name: add, arguments: {a: 1}}, {name: other}]}")
    conversation = [*messages(SORT, ITEMS[0])]
    said = []
    for _ in range(3):
        message = ask(played, conversation, SORT.output, tools=OFFERED)
        said.append([call["function"] for call in message.get("tool_calls") or ()])
        conversation += [message, {"role": "tool", "tool_call_id": "x", "content": "1"}]
    assert said == [[{"name": "add", "arguments": '{"a": 1}'}], [{"name": "other", "arguments": "{}"}], []]


@pytest.mark.parametrize(
    "more", [{}, {"tools": OFFERED, "tool_choice": "none"}], ids=["no tools are offered", "it may not choose any"]
)
def test_a_model_that_may_not_call_answers(more):
    played = engine("{tool_calls: [{name: add}]}")
    message = ask(played, messages(SORT, ITEMS[0]), SORT.output, **more)
    assert not message.get("tool_calls")
    assert json.loads(message["content"])["label"] in "abcd"
