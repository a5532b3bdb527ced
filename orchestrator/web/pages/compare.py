"""Comparing models on your own items, side by side, and making one the skill's."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from firstline.config.catalogue.collection import Entry
from firstline.config.catalogue.own_files import ChangedMeanwhile
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.experiments import side_by_side
from firstline.orchestrator.experiments.side_by_side import choose_model, chosen_model
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.submission.item_reader import read_items
from firstline.orchestrator.web.access import find_job
from firstline.orchestrator.web.api.compare import ComparisonId, look
from firstline.orchestrator.web.api.submission import as_named_file, request_of
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.pages.submit import as_order
from firstline.orchestrator.web.parameters import NAME
from firstline.orchestrator.web.session import Filled, FormAdmin, FormOperator, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Profile, Tier

router = APIRouter(prefix="/compare")

_Name = Annotated[str, Query(pattern=f"^$|{NAME}")]


@router.get("")
def show_form(
    request: Request, visitor: Visit, workflow: _Name = "", profile: _Name = "", job: _Name = "", items: int = 10
) -> Response:
    """Show the form; `job`: with items of that job to begin with."""
    texts = _items_of(find_job(job, visitor), max(1, min(items, 50))) if job else ""
    return _form(request, {"workflow": workflow, "profile": profile, "texts": texts}, ())


@router.post("")
def begin(
    request: Request,
    visitor: FormOperator,
    workflow: Annotated[str, Form()] = "",
    profile: Annotated[str, Form()] = "",
    budget_usd: Annotated[str, Form()] = "",
    texts: Annotated[str, Form()] = "",
    models: Annotated[list[str], Form()] = [],  # noqa: B006 -- FastAPI copies it
) -> Response:
    """Begin a comparison; what does not fit is shown again with the reason."""
    typed = {"workflow": workflow, "profile": profile, "budget_usd": budget_usd, "texts": texts}
    try:
        fields = {"workflow": workflow or None, "profile": profile or None, "budget_usd": budget_usd.strip() or None}
        order = request_of(as_order(fields), visitor, key=None)
        ladder = current_catalogue(order.options.tenant).profile(order.options.profile)
        wanted = list(dict.fromkeys(model for model in models if model))
        if len(wanted) < 2:
            raise UserError("expected at least two models to compare; pick another one")
        unknown = [model for model in wanted if model not in [one.name for one in ladder.models]]
        if unknown:
            raise UserError(f"profile '{ladder.name}' has no model '{unknown[0]}'")
        with as_named_file(BytesIO(texts.encode()), "") as source:
            name = side_by_side.begin(order, list(read_items(source)), models=wanted, profile=ladder)
    except UserError as error:
        return _form(request, typed, models, str(error))
    return go(f"/compare/{name}")


@router.get("/{comparison}")
def show_comparison(request: Request, visitor: Visit, comparison: ComparisonId, chosen: _Name = "") -> Response:
    """Show outputs, cost and latency side by side."""
    found = look(comparison, visitor)
    with api.engine().db.reading() as tx:
        parsed = api.engine().job(tx, found.jobs[0].job)
    return render(
        request,
        "comparison.html",
        found=found,
        chosen=chosen,
        profile=parsed.profile.name,
        skills=sorted({step.step.skill for step in parsed.plan.steps if step.step.skill}),
        tiers={model.name: tier.name for tier in _tiers(parsed.profile.name, parsed.tenant) for model in tier.models},
    )


@router.get("/{comparison}/live")
def show_live(request: Request, visitor: Visit, comparison: ComparisonId) -> Response:
    """Show how far it is; once it is done, have the whole page loaded again."""
    found = look(comparison, visitor)
    answer = render(request, "parts/comparing.html", found=found)
    if found.result is not None:
        answer.headers["hx-refresh"] = "true"
    return answer


@router.post("/{comparison}/choose")
def choose(request: Request, visitor: FormAdmin, comparison: ComparisonId, filled: Filled) -> Response:
    """Show what making a model the one that a skill starts on would change; write it once that has been seen."""
    wanted = {name: _named(filled, name) for name in ("skill", "profile")} | {"model": filled.get("model", "")}
    catalogue = current_catalogue(visitor.tenant)
    if "sure" in filled:
        versions = {name.removeprefix("version-"): text for name, text in filled.items() if name.startswith("version-")}
        with suppress(ChangedMeanwhile):
            tier = choose_model(catalogue, **wanted, by=visitor.name, versions=versions)
            return go(f"/compare/{comparison}?chosen={tier}")
    tier, drafts = chosen_model(catalogue, **wanted)
    if not drafts:
        return go(f"/compare/{comparison}?chosen={tier}")
    again = "sure" in filled
    return render(request, "choose.html", comparison=comparison, wanted=wanted, tier=tier, drafts=drafts, again=again)


def _named(filled: dict[str, str], field: str) -> str:
    if re.fullmatch(NAME, filled.get(field, "")) is None:
        raise UserError(f"{field}: expected a name of the catalogue")
    return filled[field]


def _tiers(profile: str, tenant: str) -> tuple[Tier, ...]:
    entry: Entry[Profile] | None = current_catalogue(tenant).profiles.entries.get(profile)
    return entry.value.ladder if entry and entry.value else ()


def _items_of(job: str, count: int) -> str:
    with api.engine().db.reading() as tx:
        rows = item_lists.items(tx, job=job, limit=count)
    lines = (json.dumps({"id": row["item_id"], **row["input"]}, ensure_ascii=False) for row in rows)
    return "\n".join(lines)


def _form(request: Request, typed: dict[str, str], models: Sequence[str], wrong: str | None = None) -> Response:
    catalogue = current_catalogue(request.state.visitor.tenant)
    ladder = catalogue.profile(typed["profile"] or get_settings().profile)
    return render(
        request,
        "compare.html",
        status=422 if wrong else 200,
        typed=typed,
        chosen=[model for model in models if model],
        wrong=wrong,
        workflows=sorted({*catalogue.workflows.entries, *catalogue.skills.entries}),
        profiles=sorted(catalogue.profiles.entries),
        ladder=ladder,
        begun=side_by_side.listing(tenant=request.state.visitor.sees),
    )
