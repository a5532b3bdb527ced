"""Steps that a tool answers: arguments from references, hard limits, and every call on record."""

import sqlite3
import time
from contextlib import closing

import pytest

from firstline.config.catalogue.catalogue import Catalogue
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch
from firstline.schemas.plan import PlannedStep, Step
from firstline.schemas.policy import Policy
from firstline.schemas.tool import ToolLimits, ToolSpec
from firstline.schemas.verdict import DeferCause
from firstline.workers.execution.tool_step import arguments_of
from firstline.workers.rules.step_inputs import Unfit
from tests.unit.worker_rig import TOOLS, Rig, batch, work

FUNCTIONS = """
import os, pathlib, sys, time

def shout(text, mark="!"): return {"said": text.upper() + mark}
def boom(text): raise ValueError("no luck")
def hang(text):
    while True: time.sleep(1)
def flood(text):
    for _ in range(64): sys.stdout.write("x" * 1024 * 1024)
    return "done"
def bomb(text):
    while True:
        try: os.fork()
        except OSError: pass
def unsteady(text):
    seen = pathlib.Path(text)
    if not seen.exists():
        seen.write_text("")
        os._exit(1)
    return "at last"
def dead(text): os._exit(1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return tmp_path


def function(name: str, **limits: object) -> ToolSpec:
    parameters = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "mark": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    options = {"path": f"mine:{name}", "parameters": parameters}
    return ToolSpec(name="tool", kind="function", options=options, limits=ToolLimits(timeout_s=60, **limits))


def step(name: str = "s", **changes: object) -> PlannedStep:
    declared = Step.model_validate({"name": name, "kind": "tool", "tool": "tool", **changes})
    return PlannedStep(step=declared, segment=0, start_tier="tools", policy=declared.policy or Policy())


def asking(spec: ToolSpec, folder, *texts: str, steps: tuple[PlannedStep, ...] = ()) -> Batch:
    return batch(steps or (step(),), [], work(*texts), tier=TOOLS, tools={spec.name: spec}, folders=(str(folder),))


def test_a_tools_answer_settles_the_step_and_costs_nothing(folder):
    trail = Rig([]).item(asking(function("shout"), folder, "hey"))
    assert trail.settled[0].value == {"said": "HEY!"}
    (attempt,) = trail.attempts
    assert (attempt.tier, attempt.model, attempt.cost_usd, attempt.verdict) == ("tools", "tool", 0.0, "accept")
    assert attempt.usage.input_tokens is None


def test_a_tools_answer_feeds_the_next_step(folder):
    steps = (step(), step("t", after=["s"], inputs={"text": "s.said", "mark": "=?"}))
    trail = Rig([]).item(asking(function("shout"), folder, "hey", steps=steps))
    assert [settled.value for settled in trail.settled] == [{"said": "HEY!"}, {"said": "HEY!?"}]


def test_a_tool_that_raises_rejects_its_item_and_leaves_the_neighbours_alone(folder):
    regex = ToolSpec(name="tool", kind="regex_extract")
    steps = (step(inputs={"text": "item.text", "pattern": "item.text"}),)
    bad, good = Rig([]).run(asking(regex, folder, "(", "a", steps=steps)).items
    assert bad.left[0].verdict.kind == "reject"
    assert "not a regular expression" in bad.left[0].verdict.reason
    assert good.settled
    (attempt,) = bad.attempts
    assert (attempt.error, attempt.verdict) == (ErrorKind.TOOL, "reject")
    assert attempt.detail


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(function("boom"), "ValueError: no luck", id="raises"),
        pytest.param(function("hang").evolve(limits=ToolLimits(timeout_s=1)), "longer than 1 s", id="hangs"),
        pytest.param(function("bomb", processes=8), "", id="forks"),
    ],
)
def test_whatever_a_tool_does_comes_back_as_one_rejected_attempt(spec, reason, folder):
    trail = Rig([]).item(asking(spec, folder, "x"))
    assert trail.left[0].verdict.kind == "reject"
    assert reason in trail.left[0].verdict.reason
    assert [attempt.error for attempt in trail.attempts] == [ErrorKind.TOOL]


def test_what_a_tool_prints_goes_nowhere(folder):
    assert Rig([]).item(asking(function("flood"), folder, "x")).settled[0].value == "done"


def test_a_passing_error_is_tried_once_more(folder):
    trail = Rig([]).item(asking(function("unsteady"), folder, str(folder / "seen")))
    assert [attempt.verdict for attempt in trail.attempts] == ["retry", "accept"]
    assert trail.settled[0].value == "at last"


@pytest.mark.parametrize(("allowed", "calls"), [(1, 1), (2, 2), (5, 2)], ids=["one", "two", "more"])
def test_a_passing_error_that_stays_is_given_up_after_what_the_policy_allows_and_two_at_most(allowed, calls, folder):
    steps = (step(policy=Policy(attempts_per_tier=allowed)),)
    trail = Rig([]).item(asking(function("dead"), folder, "x", steps=steps))
    assert len(trail.attempts) == calls
    assert trail.left[0].verdict.kind == "reject"


def test_arguments_that_do_not_fit_start_no_process(folder, monkeypatch):
    monkeypatch.setattr("firstline.workers.tools.isolate.run", lambda *_, **__: pytest.fail("the tool was called"))
    steps = (step(inputs={"text": "=5"}),)
    trail = Rig([]).item(asking(function("shout"), folder, "x", steps=steps))
    assert "do not fit" in trail.left[0].verdict.reason


def test_a_tool_that_nobody_declares_is_a_reason_and_no_traceback(folder):
    steps = (step(tool="other"),)
    trail = Rig([]).item(asking(function("shout"), folder, "x", steps=steps))
    assert "'other', which nobody declares" in trail.left[0].verdict.reason


def test_cancelling_the_job_ends_the_tools_process(folder):
    started = time.monotonic()
    given = asking(function("hang"), folder, "x")
    (trail,) = Rig([]).run(given, during=lambda worker: worker.cancel("j1")).items
    assert trail.left[0].verdict.cause is DeferCause.CANCELLED
    assert time.monotonic() - started < 20


PARAMETERS = {"properties": {"text": {}, "mark": {}}, "required": ["text"]}


@pytest.mark.parametrize(
    ("inputs", "item", "found"),
    [
        pytest.param({}, {"text": "x", "other": 1}, {"text": "x"}, id="item field of the same name"),
        pytest.param({"mark": "s.m"}, {"text": "x"}, {"text": "x", "mark": "?"}, id="earlier answer"),
        pytest.param({"mark": "gone.m"}, {"text": "x"}, {"text": "x"}, id="optional and absent"),
        pytest.param({"extra": "=[1]"}, {"text": "x"}, {"text": "x", "extra": [1]}, id="literal beyond the known"),
    ],
)
def test_arguments_are_what_the_references_stand_for(inputs, item, found):
    declared = Step.model_validate({"name": "s", "kind": "tool", "tool": "tool", "inputs": inputs})
    assert arguments_of(declared, PARAMETERS, item, {"s": {"m": "?"}}) == found


def test_a_required_argument_that_is_missing_is_named_with_its_reference():
    declared = Step.model_validate({"name": "s", "kind": "tool", "tool": "tool"})
    found = arguments_of(declared, PARAMETERS, {}, {})
    assert found == Unfit(reason="required argument 'text' (item.text) of tool 'tool' is missing")


@pytest.mark.parametrize("kind", ["sql", "search"])
def test_a_kind_works_without_a_declaration_by_its_steps_options(folder, kind):
    (folder / "texts").mkdir()
    (folder / "texts" / "a.md").write_text("The answer is forty-two.")
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        connection.execute("create table t (a)")
    options = {"sql": {"url": f"sqlite:///{folder}/x.db"}, "search": {"folder": str(folder / "texts")}}[kind]
    inputs = {"sql": {"statement": "=select count(*) as n from t"}, "search": {"query": "=forty-two"}}[kind]
    asked = step(tool=kind, options=options, inputs=inputs)
    spec = Catalogue().tool(kind)
    trail = Rig([]).item(asking(spec, folder, "x", steps=(asked,)))
    assert trail.settled, trail.left
    assert ("rows" if kind == "sql" else "forty-two") in str(trail.settled[0].value)


def test_what_a_step_must_say_of_an_undeclared_kind_and_does_not_is_a_sentence(folder):
    asked = step(tool="sql", inputs={"statement": "=select 1"})
    trail = Rig([]).item(asking(ToolSpec(name="sql", kind="sql"), folder, "x", steps=(asked,)))
    assert "url: Field required" in trail.left[0].verdict.reason
