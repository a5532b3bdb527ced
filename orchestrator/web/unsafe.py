"""What a workflow in a request may bring along only for an administrator: whatever reaches beyond models and text."""

from collections.abc import Iterator
from http import HTTPStatus

from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.parameters import plain_name
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.access import Role
from firstline.schemas.check import Executable
from firstline.schemas.comparator import FUNCTION_PATH
from firstline.schemas.plan import StepKind, Workflow
from firstline.schemas.skill import Skill
from firstline.workers.rules.scoring import COMPARATORS

#: Parameters of a call that only shape its answer. Others may name an address, and the key would go there.
_HARMLESS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "verbosity",
    }
)


def refuse_unsafe(workflow: Workflow, visitor: Visitor) -> None:
    """Refuse paths; and tools (files, hosts, databases), functions and odd call parameters but of an administrator."""
    for step in workflow.steps:
        plain_name(step.skill or "x")
    brought = sorted({*_of_workflow(workflow), *(what for skill in workflow.skills for what in _of_skill(skill))})
    if brought and not visitor.role.covers(Role.ADMIN):
        detail = (
            f"a workflow that brings {' and '.join(brought)} takes the role admin; have one saved in the catalogue, "
            "and name it"
        )
        raise Refusal(HTTPStatus.FORBIDDEN, detail)


def _of_workflow(workflow: Workflow) -> Iterator[str]:
    if workflow.tools or any(step.kind is StepKind.TOOL for step in workflow.steps):
        yield "tools"
    if workflow.quality is not None and workflow.quality.compare not in COMPARATORS:
        yield "functions"


def _of_skill(skill: Skill) -> Iterator[str]:
    if skill.tools:
        yield "tools"
    if skill.repair is not None or any(isinstance(check, Executable) for check in skill.checks):
        yield "functions"
    if any(signal.path is not None or signal.compare not in COMPARATORS for signal in skill.confidence):
        yield "functions"
    if any(FUNCTION_PATH.search(one.by) for one in skill.compare.values()):
        yield "functions"
    yield from (f"the call parameter `{name}`" for name in skill.params.keys() - _HARMLESS)
