"""CrewAI: a workflow as a tool of an agent (`firstline[crewai]`)."""

from typing import Any

from crewai.tools import BaseTool
from pydantic import Field, PrivateAttr, create_model

from firstline.orchestrator.integrations.remote import Remote, UnansweredError


class FirstlineTool(BaseTool):  # type: ignore[misc] # where crewai is not installed
    """A workflow of a Firstline server; its arguments are the fields of the workflow's items.

    What goes wrong with one question is told to the model as the tool's answer.
    """

    _remote: Remote = PrivateAttr()

    def __init__(self, workflow: str, **options: Any) -> None:
        """`options`: those of `Remote`: url, token, profile, budget_usd, timeout_s."""
        remote = Remote(workflow, **options)
        description, fields = remote.describe()
        arguments: dict[str, Any] = {name: (Any, Field(description=told)) for name, told in fields.items()}
        schema = create_model(f"{workflow}_item", **arguments)
        super().__init__(name=workflow, description=description, args_schema=schema)
        self._remote = remote

    def _run(self, **item: Any) -> str:
        (said,) = self._remote.ask([item])
        return str(said) if isinstance(said, UnansweredError) else said.text
