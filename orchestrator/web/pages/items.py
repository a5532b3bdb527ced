"""A job's items as a table: sorted, filtered and paged, all of which stands in the address."""

import json
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import RowMapping

from firstline.orchestrator import api
from firstline.orchestrator.reports.item_history import item_line
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.store.item_lists import ItemFilter, ItemOrder
from firstline.orchestrator.web.parameters import NAME
from firstline.orchestrator.web.session import PageJob
from firstline.orchestrator.web.templating import render
from firstline.schemas.base import Frozen, Json
from firstline.schemas.job import ItemState

router = APIRouter(prefix="/jobs/{job}/items")

_SHOWN = 50
_WORDS = 90
_PLAIN = r"^[^\x00]*$"
_Name = Annotated[str, Field(pattern=f"^$|{NAME}")]


class ItemQuery(Frozen):
    """Which of a job's items are shown, and in which order."""

    state: _Name = ""
    tier: _Name = ""
    text: str = Field(default="", max_length=100, pattern=_PLAIN)
    #: A kind of fault that one of its calls met, and the model of that call.
    error: _Name = ""
    model: str = Field(default="", max_length=200, pattern=_PLAIN)
    sort: ItemOrder = ItemOrder.PLACE
    page: int = Field(default=1, ge=1, le=10**6)

    def link(self, path: str, **changes: object) -> str:
        """Return the address of a page with the same items, but for what changes; what is as ever is left out."""
        there = ItemQuery.model_validate(self.model_dump() | changes)
        query = urlencode(there.model_dump(mode="json", exclude_defaults=True))
        return f"{path}?{query}" if query else path


@router.get("")
def show_items(request: Request, job: PageJob, query: Annotated[ItemQuery, Query()]) -> Response:
    """Show the table alone; the page's address says what it shows."""
    answer = render(request, "parts/items.html", job=api.status(job), **items_of(job, query))
    answer.headers["hx-replace-url"] = query.link(f"/jobs/{job}")
    return answer


def items_of(job: str, query: ItemQuery) -> dict[str, Any]:
    """Return what the table shows."""
    only = ItemFilter(query.state, query.tier, query.text, query.error, query.model)
    with api.engine().db.reading() as tx:
        count = item_lists.count_items(tx, job=job, only=only)
        last = max(1, -(-count // _SHOWN))
        page = min(query.page, last)
        offset = _SHOWN * (page - 1)
        rows = item_lists.items(tx, job=job, only=only, order=query.sort, offset=offset, limit=_SHOWN)
    return {
        "items": [(item_line(row), _asked(row), first_words(row["output"])) for row in rows],
        "query": query.evolve(page=page),
        "count_items": count,
        "pages": tuple(page_numbers(page, last)),
        "item_states": list(ItemState),
    }


def page_numbers(page: int, last: int) -> Iterator[int | None]:
    """Yield the pages to go to: the first, the last, those around this one; None where some are left out."""
    shown = sorted({1, last, *range(max(1, page - 2), min(last, page + 2) + 1)})
    before = 0
    for number in shown:
        if number - before > 1:
            yield None
        yield number
        before = number


def _asked(row: RowMapping) -> str:
    """Return how an item's input begins; its id stands beside it already."""
    return first_words({name: value for name, value in row["input"].items() if str(value) != row["item_id"]})


def first_words(value: Json) -> str:
    """Return how a value begins, on one line: the values of an object alone where there is one, else with names."""
    if isinstance(value, dict):
        said = (_plain(one) if len(value) == 1 else f"{name}: {_plain(one)}" for name, one in value.items())
        text = " · ".join(said)
    else:
        text = _plain(value)
    text = " ".join(text[: 4 * _WORDS].split())
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"


def _plain(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
