"""The families there are, as commands, pages and the API show them, and what their owners say of them."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from firstline.orchestrator import api
from firstline.orchestrator.quality.families.family import (
    Family,
    FamilyChoice,
    FamilyState,
    family_of,
    refuse_comparator,
)
from firstline.orchestrator.reports.formatting import UNKNOWN, dollars
from firstline.orchestrator.store import families
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

COLUMNS = ("family", "prompt", "requests", "spent", "state", "saved", "why")
_PROMPT_CHARS = 40


class FamilyChange(Frozen):
    """What an owner says of a family; what is None stays as it is."""

    choice: FamilyChoice | None = None
    #: exact, number, set_f1
    compare: str | None = None
    max_loss: float | None = None


def standings(*, tenant: str | None = None) -> list[Family]:
    """Return the families of a tenant, or of all, those that the top model costs most first."""
    with api.engine().db.reading() as tx:
        return [family_of(row) for row in families.listed(tx, tenant=tenant)]


def change(family: str, asked: FamilyChange, *, tenant: str | None = None) -> Family:
    """Do what an owner says; UserError for a family that is not there, or a word that is none."""
    if asked.compare is not None:
        refuse_comparator(asked.compare)
    if asked.max_loss is not None and not 0 < asked.max_loss < 1:
        raise UserError(f"max_loss: expected a share between 0 and 1 such as 0.05, got {asked.max_loss:g}")
    with api.engine().db.writing() as tx:
        known = _known(tx, family, tenant)
        values = {name: value for name, value in asked.model_dump(mode="json").items() if value is not None}
        # Another comparison or another loss is another question: thresholds are sought anew.
        if {"compare", "max_loss"} & values.keys() and known.straight is None:
            values |= {"state": FamilyState.SHADOW.value, "why": "its owner changed what is asked of it", "looked": 0}
        if values:
            families.change(tx, family=known.id, **values)
        if asked.choice is FamilyChoice.EXCLUDED:
            families.forget(tx, family=known.id)
        return _known(tx, known.id, tenant)


def _known(tx: Connection, family: str, tenant: str | None) -> Family:
    """Return a family by its id, or by what this begins with where there is only one."""
    found = [row for row in families.listed(tx, tenant=tenant) if row["id"].startswith(family)]
    exact = [row for row in found if row["id"] == family] or found
    if len(exact) != 1:
        what = "no family" if not exact else f"{len(exact)} families"
        raise UserError(f"{what} of the id '{family}'; `firstline families` lists them")
    return family_of(exact[0])


def table(found: Sequence[Family]) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
    """Return the columns and rows of a table."""
    rows = (
        (one.id, label(one), one.requests, dollars(one.spent_usd), state_of(one), saved(one), one.why_in_words)
        for one in found
    )
    return COLUMNS, rows


def label(family: Family) -> str:
    """Return a family's prompt, shortened to tell it by."""
    words = " ".join(family.prompt.split()) or "(no system prompt)"
    return words if len(words) <= _PROMPT_CHARS else f"{words[: _PROMPT_CHARS - 1]}…"


def state_of(family: Family) -> str:
    """Return who answers: what its owner said counts before what could be certified."""
    return family.state.value if family.choice is FamilyChoice.AUTO else family.choice.value


def saved(family: Family) -> str:
    """Return what it has saved in dollars; of one that nothing was saved of, a dash."""
    return UNKNOWN if family.saved_usd is None else dollars(family.saved_usd)
