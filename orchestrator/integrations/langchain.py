"""LangChain: a workflow as a Runnable, whose batches are one job, and as a tool (`firstline[langchain]`)."""

from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import StructuredTool
from pydantic import Field, create_model

from firstline.orchestrator.integrations.remote import Remote, UnansweredError
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError

_Input = str | JsonObject


class FirstlineRunnable(Runnable[_Input, Json]):
    """A workflow of a Firstline server: takes an item, or a text where it needs one field; gives its output.

    Raises UnansweredError where no tier answered well enough, UserError and InfrastructureError as `Remote` does.
    """

    def __init__(self, workflow: str, **options: Any) -> None:
        """`options`: those of `Remote`: url, token, profile, budget_usd, timeout_s."""
        self.remote = Remote(workflow, **options)
        self.name = workflow

    def invoke(self, input: _Input, config: RunnableConfig | None = None, **kwargs: Any) -> Json:
        """Answer one item."""
        return self._call_with_config(self._one, input, config, run_type="chain")

    def batch(
        self,
        inputs: list[_Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Json]:
        """Answer many items as one job."""
        return self._batch_with_config(self._many, inputs, config, return_exceptions=return_exceptions)

    async def abatch(
        self,
        inputs: list[_Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Json]:
        """Answer many items as one job."""

        def batch() -> list[Json]:
            return self.batch(inputs, config, return_exceptions=return_exceptions)

        return await run_in_executor(None, batch)

    def _one(self, given: _Input) -> Json:
        (answer,) = self._many([given])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _many(self, given: list[_Input]) -> list[Json | Exception]:
        field = self._only_field() if any(isinstance(one, str) for one in given) else ""
        items: list[JsonObject] = [{field: one} if isinstance(one, str) else one for one in given]
        return [one if isinstance(one, UnansweredError) else one.output for one in self.remote.ask(items)]

    def _only_field(self) -> str:
        _, fields = self.remote.describe()
        if len(fields) != 1:
            raise UserError(f"'{self.name}' needs a mapping with {', '.join(fields)}; a text is one field")
        return next(iter(fields))


def firstline_tool(workflow: str, **options: Any) -> StructuredTool:
    """Return a workflow as a tool whose arguments are its items' fields; `options` as those of `Remote`.

    What goes wrong with one question is told to the model as the tool's answer.
    """
    remote = Remote(workflow, **options)
    description, fields = remote.describe()

    def answer(**item: Any) -> str:
        (said,) = remote.ask([item])
        return str(said) if isinstance(said, UnansweredError) else said.text

    arguments: dict[str, Any] = {name: (Any, Field(description=told)) for name, told in fields.items()}
    return StructuredTool.from_function(
        answer, name=workflow, description=description, args_schema=create_model(f"{workflow}_item", **arguments)
    )
