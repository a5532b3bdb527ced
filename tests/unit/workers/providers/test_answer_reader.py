"""The one answer in a model's text: nothing lost, nothing guessed, no second one beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from firstline.workers.providers.answer_reader import Answer, Form, NoAnswer, read_answer, read_plain

LABEL = {
    "type": "object",
    "properties": {"label": {"enum": ["refund", "delivery", "other"]}, "quote": {"type": "string"}},
    "required": ["label", "quote"],
    "additionalProperties": False,
}
SUM = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"], "additionalProperties": False}
PARTS = {
    "type": "object",
    "properties": {"parts": {"type": "array", "items": {"type": "string"}}, "note": {"type": "string"}},
    "required": ["parts"],
    "additionalProperties": False,
}
ENUM = {"enum": ["refund", "card"]}
NOTED = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "note": {"type": "string"}},
    "required": ["label"],
}
RIGHT = '{"label": "delivery", "quote": "where is it"}'
DRAFT = '{"label": "refund", "quote": "where is it"}'


def form(schema, wrap=None):
    return Form(schema, Draft202012Validator(schema).is_valid, wrap)


def read(text, schema=LABEL, wrap=None):
    return read_answer(text, form(schema, wrap), validate=True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<think>Maybe {DRAFT}? No.</think>\n{RIGHT}", id="a closed thought"),
        pytest.param(f"Maybe {DRAFT}\nBut no.\n</think>\n\n{RIGHT}", id="only a closing tag"),
        pytest.param(f"<thinking>{DRAFT}</thinking>{RIGHT}", id="thinking"),
        pytest.param(f"<THINK>{DRAFT}</THINK>{RIGHT}", id="capitals"),
        pytest.param(f"<think>a {DRAFT}</think>\n<think>b {{x}}</think>\n{RIGHT}", id="two thoughts"),
        pytest.param(f"<think>a <think>b</think> {DRAFT}</think>{RIGHT}", id="a thought in a thought"),
        pytest.param(f"<think>I close with </think> and say {DRAFT}</think>{RIGHT}", id="a closing tag spoken of"),
        pytest.param(f"{RIGHT}\n<think>I could also have said {DRAFT}</think>", id="a thought after the answer"),
        pytest.param(f"{RIGHT}\n<think>or {DRAFT}", id="an open thought after the answer"),
        pytest.param(f"<think>hm [1, 2]</think>\n```json\n{RIGHT}\n```", id="a thought, then a fence"),
        pytest.param(f"<think>x</think><tool_call>{RIGHT}</tool_call>", id="a tool call's tag"),
        pytest.param(f"<think effort=low>{DRAFT}</think>{RIGHT}", id="attributes"),
        pytest.param(f"<seed:think>{DRAFT}</seed:think>{RIGHT}", id="Seed"),
        pytest.param(f"<thought>{DRAFT}</thought>{RIGHT}", id="EXAONE"),
        pytest.param(f"<reasoning>{DRAFT}</reasoning><answer>{RIGHT}</answer>", id="reasoning and answer"),
        pytest.param(f"[THINK]{DRAFT}[/THINK]{RIGHT}", id="Magistral"),
        pytest.param(f"<|START_THINKING|>{DRAFT}<|END_THINKING|>{RIGHT}", id="Cohere"),
        pytest.param(f"◁think▷{DRAFT}◁/think▷{RIGHT}", id="Kimi"),
        pytest.param(f"<|begin_of_thought|>{DRAFT}<|end_of_thought|>{RIGHT}", id="Open-Thoughts"),
        pytest.param(f"<|channel>thought\n{DRAFT}<channel|>{RIGHT}", id="Gemma"),
        pytest.param(
            f"<|channel|>analysis<|message|>perhaps {DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{RIGHT}",
            id="harmony",
        ),
        pytest.param(
            f"<|channel|>final<|message|>{RIGHT}<|end|><|start|>assistant<|channel|>analysis<|message|>or {DRAFT}",
            id="harmony, thoughts last",
        ),
        pytest.param(f"analysisPerhaps {DRAFT}assistantfinal{RIGHT}", id="harmony without its marks"),
        pytest.param(f"Here is my thought process: {DRAFT} Here is my response: {RIGHT}", id="Granite"),
        pytest.param(f"My steps: {DRAFT}\n[BEGIN FINAL RESPONSE]\n{RIGHT}\n[END FINAL RESPONSE]", id="Apriel"),
    ],
)
def test_what_a_model_thought_is_never_its_answer(text):
    found = read(text)
    assert isinstance(found, Answer), found
    assert found.value == json.loads(RIGHT)
    assert json.loads(text[found.start : found.end]) == json.loads(RIGHT)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"<think>First {DRAFT}. Final: {RIGHT}", id="a thought that never ends"),
        pytest.param(f"{DRAFT}\n</think>", id="nothing behind the thought"),
        pytest.param(f"<|channel|>analysis<|message|>{DRAFT}", id="harmony without a final channel"),
        pytest.param("", id="nothing"),
        pytest.param("I cannot say.", id="prose"),
        pytest.param("```\n```", id="an empty fence"),
    ],
)
def test_a_text_of_thoughts_or_prose_holds_no_answer(text):
    assert isinstance(read(text), NoAnswer)


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "other", "quote": "the <think>tag</think> stays"}',
        'Here it is: {"label": "other", "quote": "the <think>tag</think> stays"}',
        '<think>x</think>{"label": "other", "quote": "the <think>tag</think> stays"}',
    ],
)
def test_a_tag_within_a_value_stays(text):
    assert read(text).value == {"label": "other", "quote": "the <think>tag</think> stays"}


@pytest.mark.parametrize(
    "text",
    [
        '{"sum": \u22125}',
        '{"sum": 5 million}',
        '{"sum": 3*4}',
        '{"sum": 1 234}',
        '{"sum": 1_234}',
        '{"sum": 1,234}',
        '{"sum": +5}',
        '{"sum": .5}',
        '{"sum": 05}',
        '{"sum": 0x1F}',
        '{"sum": 5%}',
        '{"sum": $5}',
        '{"sum": 5..6}',
        '{"sum": ~5}',
        '{"sum": 5e}',
        '{"sum": NaN}',
        '{"sum": Infinity}',
        '{"sum": 1e999}',
        '{"sum": 1e-999}',
        '{"sum": }',
        '{"sum": five}',
        '{"sum": 5, // and so on\n}',
        '{"sum": 5 /* about */}',
        '{"sum": 5, "sum": 6}',
        '{"sum": 5',
        '{"sum": 5}]',
        '{"sum": [1, {"sum": 4}',
        "{" * 300 + '{"sum": 5}',
    ],
)
def test_what_cannot_be_read_without_a_guess_is_no_answer(text):
    assert isinstance(read(text, SUM), NoAnswer), read(text, SUM)


@pytest.mark.parametrize(
    "text",
    [
        '{"parts": ["bolt", "nut", "washer"',
        '{"parts": ["bolt", "nut", "wash',
        '{"parts": ["bolt", "nut",',
        '{"parts": ["bolt", "nut"]',
        '```json\n{"parts": ["bolt", "nut", "washer"',
        '```json\n{"parts": ["bolt", "nut"]\n```',
        '{"parts": []',
        '{"parts": ["bolt", "nut", ...]}',
        '{"parts": ["bolt", "nut", // and so on\n]}',
        '{"parts": ["bolt" "nut"]}',
        'Here: {"parts": [{"parts": ["bolt"]}, {"parts": ["nut"]',
        '{"iban": }',
    ],
)
def test_what_is_cut_is_not_closed_and_no_part_of_it_is_taken(text):
    assert isinstance(read(text, PARTS), NoAnswer), read(text, PARTS)


@pytest.mark.parametrize(
    "text",
    [
        f"{RIGHT}\n{DRAFT}",
        f"{DRAFT} is what one might think, but it is {RIGHT}",
        f"{RIGHT}\nNot to be confused with {DRAFT}",
        f"```json\n{RIGHT}\n```\nor\n```json\n{DRAFT}\n```",
        f'{{"label": "Delivery", "quote": "where is it"}} rather than {DRAFT}',
    ],
)
def test_of_two_different_answers_neither_is_taken(text):
    found = read(text)
    assert isinstance(found, NoAnswer)
    assert "different" in found.why


def test_the_same_answer_twice_is_one():
    assert read(f"{RIGHT}\nAs JSON: {RIGHT}").value == json.loads(RIGHT)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        pytest.param(f"```json\n{RIGHT}\n```", "a code fence", id="fence"),
        pytest.param(f"Sure! Here it is: {RIGHT} I hope it helps [1].", "words around the answer", id="prose"),
        pytest.param(f"The set {{x}} in [1, 2) gives {RIGHT}", "words around the answer", id="brackets in prose"),
        pytest.param('{"label": "delivery", "quote": "where is it",}', "a trailing comma", id="trailing comma"),
        pytest.param("{'label': 'delivery', 'quote': 'where is it'}", "other quotation marks", id="single quotes"),
        pytest.param("{“label”: “delivery”, “quote”: “where is it”}", "other quotation marks", id="typographic quotes"),
        pytest.param('{label: "delivery", quote: "where is it"}', "a key without quotation marks", id="bare keys"),
        pytest.param(
            '{"label": "delivery", "quote": "where is it"\n', "a last brace that was missing", id="last brace"
        ),
        pytest.param(json.dumps(RIGHT), "JSON within a text", id="encoded twice"),
        pytest.param(f"[{RIGHT}]", "a list of one", id="list of one"),
        pytest.param(f'{{"answer": {RIGHT}}}', "the key 'answer' around it", id="in answer"),
        pytest.param(f'{{"result": [{RIGHT}]}}', "a list of one", id="in result, in a list"),
        pytest.param(f'{{"name": "label", "arguments": {RIGHT}}}', "a tool call", id="as a tool call"),
    ],
)
def test_what_loses_nothing_is_mended_and_said(text, mend):
    found = read(text)
    assert (found.value, found.on_schema) == (json.loads(RIGHT), True)
    assert mend in found.mends


def test_raw_line_breaks_and_literals_of_python_are_mended():
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": ["boolean", "null"]}}}
    assert read('{"a": "one\ntwo", "b": True}', schema).value == {"a": "one\ntwo", "b": True}
    assert read('{"a": "x", "b": None}', schema).value == {"a": "x", "b": None}


def test_a_last_brace_is_not_supplied_where_something_optional_may_have_been_lost():
    assert isinstance(read('{"label": "x"\n', NOTED), NoAnswer)
    assert read('{"label": "x", "note": "y"\n', NOTED).value == {"label": "x", "note": "y"}


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        pytest.param('{"answer": "card"}', False, id="as asked"),
        pytest.param('"card"', False, id="bare JSON value"),
        pytest.param("card", True, id="bare label"),
        pytest.param("<think>refund?</think>card", True, id="bare label behind thoughts"),
        pytest.param("```\ncard\n```", True, id="bare label in a fence"),
        pytest.param('{"answer": "card",}', True, id="trailing comma"),
        pytest.param('{"answer": "card"', True, id="no closing brace"),
        pytest.param('Sure! Here it is: {"answer": "card"}', True, id="prose around"),
        pytest.param('["card"]', True, id="list of one"),
        pytest.param('{"result": "card"}', True, id="another wrapping"),
    ],
)
def test_an_answer_that_was_asked_for_in_an_object_is_taken_out_of_it(text, repaired):
    found = read(text, ENUM, "answer")
    assert (found.value, bool(found.mends), found.on_schema) == ("card", repaired, True)


@pytest.mark.parametrize("text", ["The answer is card, I think.", "card or refund", "5 million"])
def test_a_label_within_prose_is_a_guess(text):
    assert isinstance(read(text, ENUM, "answer"), NoAnswer)


def test_the_way_to_a_value_within_a_wrapping_is_told():
    assert read(f"[{RIGHT}]").inside == ("0",)
    assert read('{"answer": "card"}', ENUM, "answer").inside == ("answer",)


def test_a_value_off_the_form_is_returned_for_the_checks_to_say_what_is_wrong():
    found = read('{"label": "Delivery"}')
    assert (found.value, found.on_schema) == ({"label": "Delivery"}, False)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc xyz"), inner), max_leaves=10)


@given(JSON, st.sampled_from(["{}", "Here: {}", "```json\n{}\n```", "<think>hm</think>{}"]))
def test_any_value_comes_back_as_it_was_written(value, around):
    text = around.replace("{}", json.dumps({"answer": value}, ensure_ascii=False))
    found = read(text, {}, "answer")
    assert isinstance(found, Answer)
    assert found.value == value


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    read(text)
    read(text, ENUM, "answer")


@given(JSON, st.integers(1, 400))
def test_a_text_that_was_cut_anywhere_never_gives_a_part_of_it(value, cut):
    text = json.dumps({"parts": ["bolt", value], "note": "x"})
    if cut < len(text):
        found = read(text[:cut], {"type": "object", "required": ["parts"]})
        assert isinstance(found, NoAnswer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("  A list:\n  - one\n\n", "  A list:\n  - one\n\n", id="as it came"),
        pytest.param("<think>hm</think>\n\n  one\n", "one", id="behind a thought"),
        pytest.param("one\n<think>hm</think>\ntwo\n", "one\n\ntwo", id="around a thought"),
        pytest.param(" \n\t", "", id="nothing but white space"),
    ],
)
def test_a_plain_text_without_thoughts_is_kept_as_it_came(text, answer):
    read, span = read_plain(text)
    assert read == answer
    assert span is None or text[span.start : span.end] == answer.strip()
