"""What a reviewer told the models in the middle of a job is among what a better prompt is made from."""

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.experiments.improve import reviewers_rules
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.tables import AttemptRow
from firstline.schemas.plan import Step, StepKind
from tests.integration.jobs import SKILL, answered, begun, change, flying

FEEDBACK = "Mark only the number."


def test_feedback_of_a_restart_is_a_rule_of_the_skill_that_was_reviewed(engine, monkeypatch):
    monkeypatch.setattr(api, "engine", lambda: engine)
    review = Step(name="review", kind=StepKind.CHECKPOINT, reviews="s0", scope="job")
    job = begun(engine, 3, steps=[Step(name="s0", skill="sort"), review], tenant="a")
    settle_trail(engine, answered(flying(engine, job)[0]))
    change(engine, AttemptRow, {"skill": "sort"}, job=job, step="s0")
    with engine.db.writing() as tx:
        for choice, feedback in (("restart", FEEDBACK), ("restart", FEEDBACK), ("proceed", "never mind")):
            told = {"feedback": feedback}
            decisions.note(tx, job=job, kind="checkpoint", by="m", choice=choice, step="review", data=told)
    assert reviewers_rules(SKILL, tenant="a") == [FEEDBACK], "each once"
    assert reviewers_rules(SKILL, tenant="b") == []
    assert reviewers_rules(SKILL.evolve(instructions="Another version."), tenant="a") == []
