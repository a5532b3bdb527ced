"""What `check` says of steps over a list."""

from firstline.config.catalogue.workflow_flaws import Names, workflow_flaws
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.skill import Skill


def test_what_a_workflow_says_of_lists_is_checked():
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "parts": {"type": "array", "items": {"type": "object", "properties": {"head": {"type": "string"}}}},
        },
    }
    outline = Skill.model_validate({"name": "o", "instructions": "x", "input": {"text": {}}, "output": schema})
    write = Skill.model_validate(
        {"name": "s", "instructions": "x", "input": {"text": {}}, "output": {"type": "string"}}
    )
    first = Step(name="outline", skill="o")

    def said(*steps):
        workflow = Workflow(name="w", steps=(first, *steps))
        names = Names({"o": outline, "s": write}, lambda name: None, lambda name: None)
        return " | ".join(flaw.text for flaw in workflow_flaws(workflow, names))

    good = Step(name="write", skill="s", for_each="outline.parts", inputs={"text": "each.head"})
    after = Step(name="join", skill="s", inputs={"text": "write"})
    assert said(good, after) == ""
    assert "is of type `string`" in said(good.evolve(for_each="outline.title"))
    assert "has no field 'body'" in said(good.evolve(inputs={"text": "each.body"}))
    assert "has no field 'items'" in said(good.evolve(for_each="outline.items"))
    assert "`each` is an element" in said(after.evolve(inputs={"text": "each"}))
    assert "rename the step" in said(good.evolve(name="each"))
    assert "no checkpoint can review that" in said(good, Step(name="look", kind=StepKind.CHECKPOINT, reviews="write"))
    assert "only steps of kind" in said(good.evolve(kind=StepKind.SYNTHESIZE))
    assert "expected a list" in said(good.evolve(for_each="items"))
