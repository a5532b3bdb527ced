"""Patterns of plans: what the engine does with what reviewers, planners and syntheses say."""

from typing import Any

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.subtask_names import is_referral
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.plans.patterns.hierarchy import sub_plan
from firstline.orchestrator.plans.patterns.hub import hub_and_spoke
from firstline.orchestrator.plans.patterns.pipeline import pipeline
from firstline.orchestrator.plans.patterns.routing import route
from firstline.orchestrator.store.tables import AttemptRow, JobRow, SubtaskRow
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState, JobRequest, Options
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill
from firstline.schemas.verdict import Refer
from tests.integration.jobs import PROFILE, SKILL, money, rows, state
from tests.integration.played import NO, decided, never, numbers, play

DRAFT = Step(name="draft", skill="sort")
CHECK = Step(name="check", kind=StepKind.CHECKPOINT, reviews="draft")
GATHER = Skill.model_validate(
    {
        "name": "gather",
        "instructions": "Bring together.",
        "input": {"parts": {"max_chars": 5000}},
        "output": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
    }
)


def submitted(*steps: Step, count: int = 4, **more: Any) -> str:
    options = Options(approve=more.pop("approve", False), budget_usd=more.pop("budget_usd", None))
    workflow = Workflow(name="w", steps=steps, skills=(SKILL, GATHER), **more)
    request = JobRequest(workflow=workflow, profile=PROFILE, options=options)
    job = api.submit(request, ({"id": f"i{n}", "text": f"text {n}"} for n in range(count)))
    start(api.engine(), job)
    return job


def outputs(job: str) -> dict[str, Any]:
    return {result.item_id: result.output for result in api.results(job)}


def test_a_reviewer_sees_task_inputs_and_answers_and_lets_them_pass(engine: Context):
    job = submitted(DRAFT, CHECK.evolve(sample=0.5))
    played = play(
        engine,
        job,
        lambda work, todo: (
            {"label": f"l{work.item}"} if todo.step == "draft" else {"decision": "proceed", "reason": ""}
        ),
    )
    seen = played.of("check")[0][1].input
    assert seen["task"]["instructions"] == "Classify."
    assert seen["statistics"] == {"items": 4, "settled": 4, "failed": 0, "shown": 2}
    assert all(one["input"] == {"text": f"text {one['id'][1:]}"} for one in seen["outputs"])
    assert state(engine, job) == "done"
    assert decided(engine, job) == [("openai/large", "proceed")]
    assert "(job)" not in outputs(job)


def test_a_restart_asks_the_step_and_what_was_built_on_it_anew_with_feedback_and_ends(engine: Context):
    steps = pipeline([DRAFT, Step(name="polish", skill="sort")])
    job = submitted(*steps, CHECK.evolve(after=("polish",)))
    restart = {"decision": "restart", "reason": "all alike", "feedback": "vary"}
    played = play(
        engine,
        job,
        lambda work, todo: restart if todo.step == "check" else {"label": f"{todo.step} {todo.n}"},
    )
    again = [todo.feedback for _, work, todo in played.of("draft") if work.item == 0]
    assert again == [(), ("a reviewer of many answers found: vary",)]
    assert numbers(engine, job, 0, "draft") == numbers(engine, job, 0, "polish") == [0, 1]
    assert decided(engine, job) == [("openai/large", "restart"), ("engine", "proceed")]
    assert outputs(job)["i0"] == {"label": "polish 1"}
    assert state(engine, job) == "done"
    money(engine, job)


def test_an_item_that_a_restart_brings_no_better_answer_keeps_the_one_that_it_had(engine: Context):
    steps = pipeline([DRAFT, Step(name="polish", skill="sort", inputs={"text": "draft.label"})])
    job = submitted(*steps, CHECK.evolve(after=("polish",)), output={"draft": "draft.label", "polish": "polish.label"})
    restart = {"decision": "restart", "reason": "vague", "feedback": "be clear"}

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "check":
            return restart
        if todo.step == "polish":
            return {"label": f"{work.settled['draft']['label']} polished"}
        return NO if todo.feedback and work.item == 1 else {"label": f"draft {todo.n}"}

    played = play(engine, job, say)
    assert outputs(job)["i1"] == {"draft": "draft 0", "polish": "draft 0 polished"}
    assert outputs(job)["i2"] == {"draft": "draft 1", "polish": "draft 1 polished"}
    assert len(played.of("polish")) == 8
    assert state(engine, job) == "done"
    (kept,) = rows(engine, SubtaskRow, job=job, item=1, step="draft")
    assert (kept["state"], kept["tier"], kept["n"]) == ("settled", "cheap", 2)
    assert kept["reason"] == "asked anew in vain (no good); its earlier answer stands"
    assert {result.tier for result in api.results(job)} == {"cheap"}


@pytest.mark.parametrize(
    "named",
    [
        pytest.param({"redo": ["i2", "nobody"]}, id="to be redone"),
        pytest.param({"wrong": [{"id": "i2", "why": "it is not"}]}, id="called wrong"),
    ],
)
def test_a_restart_of_named_items_leaves_the_others_as_they_are(engine: Context, named):
    job = submitted(DRAFT, CHECK, Step(name="after", skill="sort", after=("check",)))
    said = iter(
        [
            {"decision": "restart", "reason": "r", "feedback": "f", **named},
            {"decision": "proceed", "reason": "fine"},
        ]
    )
    played = play(
        engine, job, lambda work, todo: next(said) if todo.step == "check" else {"label": f"{todo.step} {todo.n}"}
    )
    assert [len(played.of("draft")), len(played.of("check")), len(played.of("after"))] == [5, 2, 4]
    assert numbers(engine, job, 2, "draft") == [0, 1]
    assert state(engine, job) == "done"


def test_corrections_that_pass_the_checks_are_taken_and_others_are_told_to_the_reviewer(engine: Context):
    job = submitted(DRAFT, CHECK)
    said = iter(
        [
            {
                "decision": "correct",
                "reason": "two are wrong",
                "corrections": [
                    {"id": "i1", "value": {"label": "right"}},
                    {"id": "i2", "value": {"lable": "typo"}},
                    {"id": "i9", "value": {"label": "nobody"}},
                ],
            },
            {"decision": "correct", "reason": "mended", "corrections": [{"id": "i2", "value": {"label": "too"}}]},
        ]
    )
    played = play(engine, job, lambda work, todo: next(said) if todo.step == "check" else {"label": "?"})
    told = played.of("check")[1][2].feedback
    assert len(told) == 2
    assert "lacks label" in told[0]
    assert "'i9' refused: no such item" in told[1]
    assert outputs(job) == {
        "i0": {"label": "?"},
        "i1": {"label": "right"},
        "i2": {"label": "too"},
        "i3": {"label": "?"},
    }
    assert decided(engine, job) == [("openai/large", "ask_again"), ("openai/large", "correct")]


def test_what_was_built_on_a_corrected_answer_is_asked_anew(engine: Context):
    steps = pipeline([DRAFT, Step(name="polish", skill="sort", inputs={"text": "draft.label"})])
    job = submitted(*steps, CHECK.evolve(after=("polish",)))
    correct = {"decision": "correct", "reason": "", "corrections": [{"id": "i1", "value": {"label": "new"}}]}
    played = play(
        engine,
        job,
        lambda work, todo: (
            correct
            if todo.step == "check"
            else {"label": "old" if todo.step == "draft" else f"polished {work.settled['draft']['label']}"}
        ),
    )
    assert len(played.of("draft")) == 4
    assert len(played.of("polish")) == 5
    assert len(played.of("check")) == 1
    assert outputs(job)["i1"] == {"label": "polished new"}


def test_a_checkpoint_that_nobody_can_answer_ends_nothing(engine: Context):
    job = submitted(DRAFT, CHECK)
    play(engine, job, lambda work, todo: NO if todo.step == "check" else {"label": "x"})
    assert state(engine, job) == "done"
    assert decided(engine, job) == [("engine", "proceed")]


def test_what_reads_reviewed_answers_waits_for_the_review(engine: Context):
    use = Step(name="use", skill="sort", inputs={"text": "draft.label"})
    job = submitted(DRAFT, use, CHECK)
    played = play(
        engine, job, lambda work, todo: {"decision": "proceed"} if todo.step == "check" else {"label": todo.step}
    )
    assert played.steps() == ["draft", "check", "use"]


def test_a_synthesis_that_outgrows_a_prompt_becomes_a_tree(engine: Context):
    whole = Step(
        name="whole", kind=StepKind.SYNTHESIZE, skill="gather", inputs={"parts": "draft"}, options={"tree_chars": 200}
    )
    job = submitted(DRAFT, whole, count=40)

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "draft":
            return {"label": "x" * 40}
        parts = work.settled["draft"]
        return {"count": sum(part["value"].get("count", 1) for part in parts)}

    played = play(engine, job, say)
    groups = [name for name in played.steps() if name.startswith("whole__")]
    assert any(name.startswith("whole__2_") for name in groups)
    assert len({batch.id for batch, _, todo in played.asked if todo.step.startswith("whole__1_")}) > 2
    assert outputs(job)["(job)"] == {"count": 40}
    assert state(engine, job) == "done"
    assert ("engine", "grouped") in decided(engine, job, "tree")


def test_a_synthesis_of_all_results_sees_what_settled(engine: Context):
    whole = Step(name="whole", kind=StepKind.SYNTHESIZE, skill="gather", inputs={"parts": "items"})
    job = submitted(DRAFT, whole)

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "draft":
            return NO if work.item == 1 else {"label": "x"}
        return {"count": len(work.settled["items"])}

    play(engine, job, say)
    assert outputs(job)["(job)"] == {"count": 3}
    assert [result.status for result in api.results(job)][1] is ItemState.FAILED


def test_spokes_run_side_by_side_and_the_hub_sees_them_all(engine: Context):
    spokes = [Step(name="law", skill="sort"), Step(name="money", skill="sort")]
    hub = Step(name="hub", skill="gather", inputs={"parts": "law"})
    job = submitted(*hub_and_spoke(spokes, hub))
    played = play(engine, job, lambda work, todo: {"count": 1} if todo.step == "hub" else {"label": todo.step})
    assert {todo.step for todo in played.asked[0][1].todo} == {"law", "money"}
    assert set(played.of("hub")[0][1].settled) == {"law", "money"}


def test_a_router_sends_each_item_down_its_own_branch(engine: Context):
    router = Step(name="pick", skill="sort")
    steps = route(router, {"easy": [Step(name="quick", skill="sort")], "hard": [Step(name="slow", skill="sort")]})
    job = submitted(*steps)
    played = play(
        engine,
        job,
        lambda work, todo: {"label": "easy" if work.item % 2 else "hard"} if todo.step == "pick" else {"label": "done"},
    )
    assert sorted(work.item for _, work, _ in played.of("quick")) == [1, 3]
    assert sorted(work.item for _, work, _ in played.of("slow")) == [0, 2]
    checks = played.of("pick")[0][0].skills["sort-pick"].checks
    assert checks[-1].model_dump()["values"] == ("easy", "hard")


PLAN = {
    "summary": "Sort, then gather.",
    "steps": [
        {"name": "label", "kind": "skill", "skill": "sort", "inputs": {"text": "item.text"}, "why": "w"},
        {"name": "all", "kind": "synthesize", "skill": "gather", "inputs": {"parts": "label"}, "why": "w"},
    ],
    "output": {"tag": "label.label"},
}


def test_a_step_opens_a_sub_plan_and_what_follows_reads_its_output(engine: Context):
    plan = {"summary": "s", "steps": [PLAN["steps"][0]], "output": "label"}
    job = submitted(
        DRAFT,
        sub_plan("more", "Label them", after=("draft",)),
        Step(name="last", skill="sort", inputs={"text": "more.label"}, when="more.label != 'skip'"),
    )

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "more":
            return plan
        return {"label": "skip" if todo.step == "label" and work.item == 0 else todo.step}

    played = play(engine, job, say)
    assert played.steps() == ["draft", "more", "label", "last"]
    assert len(played.of("last")) == 3
    given = played.of("more")[0][1].input
    assert given["goal"] == "Label them"
    assert given["done"][0]["name"] == "draft"
    assert given["done"][0]["settled"] == 4
    assert {skill["name"] for skill in given["skills"]} >= {"sort", "gather"}
    assert not {"planner", "refer", "checkpoint", "adapt"} & {skill["name"] for skill in given["skills"]}
    assert state(engine, job) == "done"
    assert outputs(job)["i1"] == {"label": "last"}


def goal_job(goal: str = "Label the texts", *, approve: bool = False) -> str:
    request = JobRequest(goal=goal, profile=PROFILE, options=Options(approve=approve))
    job = api.submit(request, ({"id": f"i{n}", "text": f"text {n}"} for n in range(3)))
    start(api.engine(), job)
    return job


OWN = {
    "summary": "One step.",
    "skills": [
        {
            "name": "tag",
            "instructions": "You tag texts with one word. Nothing else counts here.",
            "input": {"text": "The text."},
            "output": SKILL.output,
            "demand": {"inference": 0, "knowledge": 0, "judgement": 0, "span": 0},
        }
    ],
    "steps": [{"name": "label", "kind": "skill", "skill": "tag", "inputs": {"text": "item.text"}, "why": "w"}],
    "output": {"tag": "label.label"},
}


def test_a_goal_is_planned_then_carried_out(engine: Context):
    job = goal_job()
    assert state(engine, job) == "planning"
    played = play(engine, job, lambda work, todo: OWN if work.item == WHOLE_JOB else {"label": f"l{work.item}"})
    assert played.of("plan__0")[0][0].tier.name == "frontier"
    assert {batch.tier.name for batch, _, _ in played.of("label")} == {"cheap"}
    assert outputs(job) == {"i0": {"tag": "l0"}, "i1": {"tag": "l1"}, "i2": {"tag": "l2"}}
    assert decided(engine, job) == [("openai/large", "planned")]
    assert rows(engine, JobRow, id=job)[0]["plan_version"] == 1
    money(engine, job)


def test_a_plan_waits_for_a_yes_where_one_is_wanted(engine: Context):
    job = goal_job(approve=True)
    play(engine, job, lambda work, todo: OWN)
    assert state(engine, job) == "awaiting_approval"
    play(engine, job, never)
    assert api.approve(job)
    assert not api.approve(job)
    play(engine, job, lambda work, todo: {"label": "x"})
    assert state(engine, job) == "done"
    assert decided(engine, job) == [("openai/large", "planned"), ("person", "approved")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param({"summary": "", "steps": [], "impossible": "No hands."}, "No hands.", id="impossible"),
        pytest.param(NO, "no good", id="no usable answer"),
        pytest.param(
            {**OWN, "steps": [{"name": "label", "kind": "tool", "tool": "nothing", "why": "w"}], "output": None},
            "no tool 'nothing'",
            id="a tool that does not exist",
        ),
    ],
)
def test_a_goal_without_a_plan_fails_with_the_reason(engine: Context, said: Any, reason: str):
    job = goal_job()
    play(engine, job, lambda work, todo: said)
    row = rows(engine, JobRow, id=job)[0]
    assert row["state"] == "failed"
    assert reason in row["reason"]
    assert {result.status for result in api.results(job)} == {ItemState.FAILED}
    assert len(decided(engine, job, "plan")) == 1


def test_a_job_that_adapts_is_amended_and_looked_at_again_but_not_for_ever(engine: Context):
    job = submitted(DRAFT, CHECK, Step(name="ahead", skill="sort", after=("check",)), adapt=True)
    extra = {"name": "extra", "kind": "skill", "skill": "sort", "inputs": {"text": "draft.label"}, "why": "w"}
    looks: list[Any] = []

    def say(work: Any, todo: Any) -> Any:
        if not todo.step.startswith("adapt__"):
            return {"label": todo.step}
        looks.append(work.input)
        step = {**extra, "name": f"extra{len(looks)}"}
        return {"decision": "amend", "reason": "once more", "summary": "", "steps": [step], "output": step["name"]}

    played = play(engine, job, say)
    assert "check" not in played.steps()
    assert "ahead" not in played.steps()
    assert [step["name"] for step in looks[0]["ahead"]] == ["check", "ahead"]
    assert looks[0]["statistics"]["answers"]["draft"] == {"settled": 4}
    assert len(looks) == 5
    assert outputs(job)["i0"] == {"label": "extra5"}
    assert decided(engine, job, "adapt") == [("openai/large", "amend")] * 5


def test_a_job_that_adapts_may_stop_early_and_keeps_what_it_has(engine: Context):
    job = submitted(DRAFT, CHECK, Step(name="ahead", skill="sort", after=("check",)), adapt=True, output="draft")
    said = {"decision": "stop", "reason": "enough"}
    played = play(engine, job, lambda work, todo: said if todo.step.startswith("adapt__") else {"label": "x"})
    assert played.steps() == ["draft", "adapt__0"]
    assert state(engine, job) == "done"
    assert outputs(job)["i3"] == {"label": "x"}


def test_an_amendment_that_cannot_be_carried_out_changes_nothing(engine: Context):
    job = submitted(DRAFT, CHECK, adapt=True)
    bad = {"decision": "amend", "reason": "r", "steps": [{"name": "x", "kind": "skill", "skill": "gone", "why": "w"}]}

    def say(work: Any, todo: Any) -> Any:
        if todo.step.startswith("adapt__"):
            return bad
        return {"decision": "proceed"} if todo.step == "check" else {"label": "x"}

    assert play(engine, job, say).steps() == ["draft", "adapt__0", "check"]
    assert decided(engine, job, "adapt") == [("openai/large", "continue")]


def test_a_step_that_an_amendment_keeps_keeps_the_options_that_no_model_sees(engine: Context):
    search = Step(name="look", kind=StepKind.TOOL, tool="search", inputs={"query": "draft.label"}, after=("check",))
    secret = search.evolve(options={"folder": "/secret"})
    job = submitted(DRAFT, CHECK, secret, adapt=True, output="look")
    kept = {**search.model_dump(mode="json", include={"name", "kind", "tool", "inputs"}), "why": "w"}
    other = {**kept, "name": "other"}
    asked: list[Any] = []

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "adapt__0":
            asked.append(work.input)
            return {"decision": "amend", "reason": "r", "steps": [kept, other], "output": "look"}
        return {"decision": "continue", "reason": "r"} if todo.step.startswith("adapt__") else {"label": "x"}

    played = play(engine, job, say)
    assert "/secret" not in str(asked)
    steps = {planned.step.name: planned.step.options for batch, _, _ in played.of("look") for planned in batch.steps}
    assert steps == {"look": {"folder": "/secret"}, "other": {}}


def test_what_was_decided_can_be_asked_for_with_items_and_reasons(engine: Context):
    job = submitted(DRAFT.evolve(policy=Policy(last_resort="refer", attempts_per_tier=1)), CHECK)

    def say(work: Any, todo: Any) -> Any:
        if todo.step == "check":
            return {"decision": "proceed", "reason": "fine"}
        if is_referral(todo.step):
            return {"decision": "give_up", "reason": "too vague"}
        return Refer(reason="nobody knows") if work.item == 2 else {"label": "x"}

    play(engine, job, say)
    told = [(one.kind, one.item_id, one.step, one.choice, one.reason) for one in api.decisions(job)]
    assert ("checkpoint", None, "check", "proceed", "fine") in told
    assert [one[:2] for one in told if one[0] == "refer"] == [("refer", "i2")] * (len(told) - 1)
    with pytest.raises(UserError, match="no job"):
        api.decisions("nope")


def test_every_call_of_a_pattern_is_on_record(engine: Context):
    job = submitted(DRAFT, CHECK)
    play(engine, job, lambda work, todo: {"decision": "proceed"} if todo.step == "check" else {"label": "x"})
    assert {row["purpose"] for row in rows(engine, AttemptRow, job=job)} == {"answer"}
    assert money(engine, job) == (5, 1.25)
