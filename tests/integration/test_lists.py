"""A step over the elements of a list in the engine: each element its own subtask, gathered in order."""

from typing import Any

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.reports.item_history import prompts_of, story_of
from firstline.orchestrator.reports.plan_progress import anatomy
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import ItemRow, SubtaskRow
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import LastResort, Policy
from firstline.schemas.skill import Skill
from firstline.schemas.verdict import Escalate, Reject, Review
from tests.integration.jobs import PROFILE, rows, state
from tests.integration.played import Say, play

WRITER = Skill.model_validate(
    {"name": "write", "instructions": "Write.", "input": {"text": {}}, "output": {"type": "string"}}
)
WRITE = Step(name="write", skill="write", for_each="item.parts", inputs={"text": "each.title"}, at_most=12)
JOIN = Step(name="join", skill="write", inputs={"text": "write"})


def submitted(engine: Context, parts: list[Any], *steps: Step, **options: Any) -> str:
    workflow = Workflow(name="w", steps=steps or (WRITE, JOIN), skills=(WRITER,))
    request = JobRequest(workflow=workflow, profile=PROFILE, options=Options(dedupe=False, **options))
    job = api.submit(request, [{"id": f"i{n}", "parts": one} for n, one in enumerate(parts)])
    start(engine, job)
    return job


def titles(*names: str) -> list[dict[str, str]]:
    return [{"title": name} for name in names]


def answered(engine: Context, job: str, say: Say | None = None) -> list[Any]:
    play(engine, job, say or (lambda work, todo: f"{todo.step} of {work.item}"))
    return [row["output"] for row in sorted(rows(engine, ItemRow, job=job), key=lambda row: row["n"])]


def test_each_element_is_a_subtask_and_the_next_step_gets_their_answers_in_order(engine: Context) -> None:
    job = submitted(engine, [titles(*"abcdefghijkl"), titles("x")])
    shown: dict[tuple[int, str], Any] = {}

    def say(work: Any, todo: Any) -> str:
        shown[work.item, todo.step] = work.settled.get("write")
        return todo.step.removeprefix("write__each")

    assert answered(engine, job, say) == ["join", "join"]
    assert shown[0, "join"] == [str(n) for n in range(12)]
    assert shown[1, "join"] == ["0"]
    asked = [row["step"] for row in rows(engine, SubtaskRow, job=job, item=1)]
    assert sorted(asked) == ["join", "write", "write__each0"]


def test_a_lists_answers_may_be_the_result_and_no_elements_are_an_empty_list(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b"), []], WRITE)
    assert answered(engine, job) == [["write__each0 of 0", "write__each1 of 0"], []]
    assert state(engine, job) == "done"


def test_an_element_climbs_alone(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b", "c")], WRITE)
    up = {"write__each1"}
    answered(engine, job, lambda work, todo: Escalate(reason="odd") if todo.step in up and todo.n == 0 else todo.step)
    tiers = {row["step"]: row["tier"] for row in rows(engine, SubtaskRow, job=job)}
    assert tiers == {"write": "", "write__each0": "cheap", "write__each1": "frontier", "write__each2": "cheap"}
    status = api.status(job)
    assert (status.escalated, status.by_tier) == (1, {"frontier": 1})


def test_an_element_that_fails_fails_its_item_with_the_reason_and_no_other(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b"), titles("c")])
    say: Say = lambda work, todo: Reject(reason="no") if (work.item, todo.step) == (0, "write__each1") else "ok"  # noqa: E731
    assert answered(engine, job, say) == [None, "ok"]
    (failed,) = [row for row in rows(engine, ItemRow, job=job) if row["state"] == "failed"]
    assert failed["reason"] == "step 'write[1]': no"


def test_a_failed_element_is_tried_again_alone(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b")])
    answered(engine, job, lambda work, todo: Reject(reason="no") if todo.step == "write__each1" else "old")
    assert api.retry(job)
    played = play(engine, job, lambda work, todo: "new")
    assert played.steps() == ["write__each1", "join"]
    (item,) = rows(engine, ItemRow, job=job)
    assert (item["state"], item["output"]) == ("settled", "new")


def test_an_element_may_wait_for_a_person(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b")])
    answered(engine, job, lambda work, todo: Review(reason="look") if todo.step == "write__each0" else "ok")
    (waiting,) = rows(engine, SubtaskRow, job=job, state="review")
    assert waiting["step"] == "write__each0"


def test_an_element_may_be_referred(engine: Context) -> None:
    step = WRITE.evolve(policy=Policy(last_resort=LastResort.REFER))
    job = submitted(engine, [titles("a", "b")], step)

    def say(work: Any, todo: Any) -> Any:
        if "__refer" in todo.step:
            return {"decision": "give_up", "reason": "nobody knows"}
        from firstline.schemas.verdict import Refer

        return Refer(reason="hard") if todo.step == "write__each1" else "ok"

    answered(engine, job, say)
    (item,) = rows(engine, ItemRow, job=job)
    assert (item["state"], item["reason"]) == ("failed", "step 'write[1]': nobody knows")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        pytest.param("abc", "to be a list, got a text", id="no list"),
        pytest.param(titles(*"abcdefghijklm"), "has 13 elements, the step takes at most 12", id="too many"),
    ],
)
def test_a_list_that_will_not_do_fails_its_item_alone(engine: Context, parts: Any, said: str) -> None:
    job = submitted(engine, [parts, titles("a")])
    assert answered(engine, job) == [None, "join of 1"]
    (failed,) = [row for row in rows(engine, ItemRow, job=job) if row["state"] == "failed"]
    assert said in failed["reason"]


def test_a_step_that_does_not_apply_asks_about_no_element(engine: Context) -> None:
    job = submitted(engine, [titles("a")], WRITE.evolve(when="len(item.parts) > 1"), JOIN.evolve(inputs={"text": "=x"}))
    played = play(engine, job, lambda work, todo: "ok")
    assert played.steps() == ["join"]


def test_pages_and_stories_show_elements_with_their_step(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b"), titles("c")])
    answered(engine, job)
    with engine.db.reading() as tx:
        write, join = anatomy(tx, job=job)
        story = story_of(tx, job=job, n=0)
        prompts = prompts_of(engine.job(tx, job), story)
    assert (write.total, write.settled, write.escalated, write.calls) == (3, 3, 0, 3)
    assert (join.total, join.settled) == (2, 2)
    assert set(prompts) == {"write__each0", "write__each1", "join"}
    assert "b" in str(prompts["write__each1"][-1]["content"])


def test_audits_draw_elements_and_not_their_list(engine: Context) -> None:
    job = submitted(engine, [titles("a", "b")], WRITE.evolve(policy=Policy(audit_share=1.0)))
    answered(engine, job)
    assert sorted(row["step"] for row in rows(engine, AuditRow, job=job)) == ["write__each0", "write__each1"]
