"""Whether items bring what a workflow reads: found before anything is sent, with what was most likely meant."""

from collections import deque

import pytest

from firstline.orchestrator.submission.input_fit import InputFit, mapped, nearest, parse_mapping
from firstline.orchestrator.submission.item_fields import FieldNeed, item_fields, needs
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.skill import InputField, Skill

SORT = Skill(
    name="sort",
    instructions="Sort it.",
    input={"text": InputField(), "lang": InputField(required=False)},
    output={"type": "string"},
)
ALONE = Workflow(name="alone", steps=(Step(name="sort", skill="sort"),), skills=(SORT,))


def fit_of(items, workflow=ALONE, mapping=None) -> InputFit:
    mapping = mapping or {}
    fit = InputFit(needs(workflow, {skill.name: skill for skill in workflow.skills}), mapping)
    given = [item if isinstance(item, InputItem) else InputItem(str(n), item) for n, item in enumerate(items)]
    deque(fit.watch(mapped(given, mapping)), maxlen=0)
    return fit


def refusal(items, workflow=ALONE, mapping=None) -> str:
    with pytest.raises(UserError) as error:
        fit_of(items, workflow, mapping).refuse_misfit("tickets.csv")
    return str(error.value)


@pytest.mark.parametrize(
    ("columns", "guess"),
    [
        pytest.param({"id": "1", "Text": "Hello there"}, "Text", id="another case"),
        pytest.param({"id": "1", "texts": "Hello there", "body": "a very long text of somebody"}, "texts", id="a typo"),
        pytest.param({"ticket_text": "Hello", "subject": "a longer subject than the text"}, "ticket_text", id="a part"),
        pytest.param({"subject": "Hi", "body": "A long message about a parcel"}, "body", id="the longest text"),
        pytest.param({"my column": "A long message about a parcel"}, "'my column'", id="a name to be quoted"),
    ],
)
def test_a_missing_field_is_told_with_the_columns_there_are_and_the_likeliest_one(columns, guess):
    told = refusal([columns, columns])
    assert "no item of tickets.csv has `text`, which step 'sort' reads" in told
    assert f"its fields are: {', '.join(columns)}" in told
    assert f"Did you mean --map text={guess}" in told


def test_where_nothing_comes_near_the_flag_is_named():
    told = refusal([{"n": 1, "m": 2}])
    assert "map one with --map FIELD=COLUMN" in told
    assert "Did you mean" not in told


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_column_that_is_empty_everywhere_is_missing_too(value):
    assert "has `text`" in refusal([{"text": value}, {"text": value}])


def test_one_item_that_fits_is_enough_and_the_others_are_counted():
    fit = fit_of([{"text": "a"}, {"body": "b"}, {"text": ""}, InputItem("x", {}, "broken")])
    fit.refuse_misfit("tickets.csv")
    assert fit.notes() == (
        "1 of 4 items cannot be read and fail alone; the first: broken",
        "2 of 3 items have no `text` and will fail",
    )


def test_items_that_each_lack_another_field_do_not_fit_either():
    both = SORT.evolve(input={"text": InputField(), "topic": InputField()})
    told = refusal([{"text": "a"}, {"topic": "b"}, {"topic": "c"}], ALONE.evolve(skills=(both,)))
    assert "only 1 of 3 items of tickets.csv has `text`" in told


def test_items_that_cannot_be_read_say_nothing_of_the_columns():
    fit = fit_of([InputItem("x", {}, "row 2 is not valid JSON")])
    fit.refuse_misfit("tickets.csv")


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step(name="sort", skill="sort", when="item.kind == 'x'"), id="a step under a condition"),
        pytest.param(Step(name="sort", skill="sort", kind=StepKind.SYNTHESIZE), id="a step of the whole job"),
        pytest.param(Step(name="sort", skill="sort", scope="job"), id="a step of scope job"),
        pytest.param(Step(name="sort", skill="sort", inputs={"text": "=five"}), id="a literal"),
        pytest.param(Step(name="find", kind=StepKind.TOOL, tool="search", inputs={"query": "item.q"}), id="a tool"),
    ],
)
def test_nothing_is_refused_for_what_not_every_item_needs(step):
    fit_of([{"body": "a"}], ALONE.evolve(steps=(step,))).refuse_misfit("tickets.csv")


def test_a_reference_into_an_item_is_followed_to_its_end():
    workflow = ALONE.evolve(steps=(Step(name="sort", skill="sort", inputs={"text": "item.mail.body"}),))
    assert "has `mail.body`" in refusal([{"mail": {"subject": "x"}}], workflow)
    fit_of([{"mail": {"body": "x"}}], workflow).refuse_misfit("tickets.csv")
    assert list(item_fields(workflow, {"sort": SORT})) == ["lang", "mail"]


# Mapping ----------------------------------------------------------------------------------------------------------


def test_a_mapped_column_goes_by_its_new_name_alone():
    items = [InputItem("1", {"body": "hello", "mail": {"from": "x"}, "a.b": 1})]
    (item,) = mapped(items, {"text": "body", "sender": "mail.from", "dotted": "a.b"})
    assert item.input == {"text": "hello", "mail": {"from": "x"}, "sender": "x", "dotted": 1}
    (same,) = mapped(items, {})
    assert same == items[0]


def test_a_column_may_stand_for_two_fields_and_two_may_change_places():
    (item,) = mapped([InputItem("1", {"a": 1, "b": 2})], {"a": "b", "b": "a", "c": "a"})
    assert item.input == {"a": 2, "b": 1, "c": 1}


def test_a_column_that_is_not_there_is_told_under_its_own_name():
    told = refusal([{"body": "x"}], mapping={"text": "bodi"})
    assert "no item of tickets.csv has `bodi`, which `text` is mapped from" in told
    assert "--map text=body" in told


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (["text"], "expected FIELD=COLUMN such as text=body, got 'text'"),
        (["=body"], "expected FIELD=COLUMN"),
        (["text="], "expected FIELD=COLUMN"),
        (["text=a", "text=b"], "field 'text' is mapped twice, from 'a' and from 'b'"),
        (["id=ticket_no"], "say --id-field ticket_no"),
    ],
)
def test_what_is_no_mapping_is_refused_with_a_sentence(pairs, told):
    with pytest.raises(UserError, match=told):
        parse_mapping(pairs)
    assert parse_mapping(["text = body", "a=b=c"]) == {"text": "body", "a": "b=c"}
    assert parse_mapping(None) == {}


def test_names_that_have_nothing_to_do_with_each_other_are_not_near():
    assert nearest("text", ["price", "n"]) is None
    assert nearest("customer_id", ["Customer ID", "id"]) == "Customer ID"


def test_a_field_is_needed_once_and_by_whom_every_item_comes_to():
    second = Step(name="again", skill="sort", when="sort == 'x'")
    workflow = ALONE.evolve(steps=(second, *ALONE.steps))
    found = needs(workflow, {"sort": SORT})
    assert [(need.path, need.step, need.always) for need in found] == [("text", "sort", True), ("lang", "again", False)]
    assert isinstance(found[0], FieldNeed)
