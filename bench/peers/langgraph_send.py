"""LangGraph: an edge sends one `Send` an item, an async node calls litellm, a reducer gathers."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from common import WARM, clocked, label_of, read_task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send


class State(TypedDict):
    """All items, and all answers."""

    items: list[int]
    labels: Annotated[list[str], operator.add]


def main() -> None:
    import litellm

    task = read_task()

    async def ask(one: dict[str, Any]) -> dict[str, list[str]]:
        return {"labels": [label_of(await litellm.acompletion(**task.request(one["n"])))]}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_conditional_edges(START, lambda state: [Send("ask", {"n": n}) for n in state["items"]], ["ask"])
    graph.add_edge("ask", END)
    app = graph.compile()

    async def sent(first: int, count: int) -> list[str]:
        state = {"items": list(range(first, first + count)), "labels": []}
        done = await app.ainvoke(state, {"max_concurrency": task.at_once, "recursion_limit": 10})
        return done["labels"]

    with asyncio.Runner() as runner:
        runner.run(sent(task.calls, WARM))
        clocked(lambda: runner.run(sent(0, task.calls)), task.calls)


if __name__ == "__main__":
    main()
