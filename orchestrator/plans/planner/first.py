"""The plan that a goal begins with: one step, which asks the planner model for the rest."""

from firstline.config.drafts.draft import slug
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, Step, StepKind, Workflow

#: Name of the step that plans a goal.
PLANNING = "plan__0"
#: Longer goals hold material, which belongs into items.
MAX_GOAL_CHARS = 20_000


def planning_workflow(goal: str) -> Workflow:
    """Return the workflow that plans a goal; UserError for a goal that is empty or too long."""
    if not goal.strip():
        raise UserError("expected a goal in plain words, got an empty one; say what is wanted of the items")
    if len(goal) > MAX_GOAL_CHARS:
        raise UserError(
            f"expected a goal of at most {MAX_GOAL_CHARS:,} characters, got {len(goal):,}; "
            "give long material as items (--input) and say in the goal what is to be done with it"
        )
    step = Step(name=PLANNING, kind=StepKind.PLAN, options={"goal": goal.strip()}, why="The goal says it.")
    return Workflow(name=slug(goal), description=goal.strip()[:200], steps=(step,))


def is_planning(plan: Plan) -> bool:
    """Whether a job's plan is still to be written."""
    return [planned.step.name for planned in plan.steps] == [PLANNING]
