"""A skill and a profile as pages: what each is, what came of it, what it costs, and where it is used."""

from fastapi import APIRouter, Request, Response

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.experiments import prompt_versions
from firstline.orchestrator.quality.calibration.standing import model_pairs
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.reports import model_stats
from firstline.orchestrator.store import views
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.editing import alone
from firstline.orchestrator.web.pages.money import Days
from firstline.orchestrator.web.parameters import Name
from firstline.orchestrator.web.session import Visit
from firstline.orchestrator.web.templating import render
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Step
from firstline.schemas.skill import Skill

router = APIRouter()

_JOBS = 8


class VersionLine(Frozen):
    """A version of a skill, and how it differs from the one before."""

    version: prompt_versions.Version
    difference: str


@router.get("/skills/{name}")
def show_skill(request: Request, visitor: Visit, name: Name, days: Days = 30) -> Response:
    """Show a skill: its prompt, versions, calibrations, cost, and where it is used; and try it."""
    catalogue = current_catalogue(visitor.tenant)
    found = prompt_versions.find_skill(name, catalogue)
    with api.engine().db.reading() as tx:
        marks = model_stats.model_marks(tx, tenant=visitor.sees, days=days, skill=name)
        (task,) = model_stats.task_stats(tx, tenant=visitor.sees, days=days, skill=name) or (None,)
        jobs = views.jobs_with_skill(tx, tenant=visitor.sees, skill=name, limit=_JOBS)
    lone = alone(Step(name="only", skill=name), found.skill)
    return render(
        request,
        "skill.html",
        found=found,
        skill=found.skill,
        versions=_versions(found),
        marks=marks,
        task=task,
        jobs=jobs,
        calibrations=[one for one in standings(tenant=visitor.sees) if one.skill == name],
        workflows=_workflows_with(catalogue, found.skill),
        tried=as_yaml(lone),
        days=days,
    )


def _versions(found: prompt_versions.SkillFile) -> list[VersionLine]:
    known = prompt_versions.versions(found)
    older = [*known[1:], None]
    return [
        VersionLine(
            version=one,
            difference=prompt_versions.difference(found, before.version, one.version) if before is not None else "",
        )
        for one, before in zip(known, older, strict=True)
    ]


def _workflows_with(catalogue: Catalogue, skill: Skill) -> list[str]:
    return sorted(
        workflow.name for workflow in catalogue.workflows if any(step.skill == skill.name for step in workflow.steps)
    )


@router.get("/profiles/{name}")
def show_profile(request: Request, visitor: Visit, name: Name, days: Days = 30) -> Response:
    """Show a profile: its tiers, their models with prices and limits, and how these did."""
    profile = current_catalogue(visitor.tenant).profile(name)
    pairs = model_pairs(profile) if profile.ladder else frozenset()
    with api.engine().db.reading() as tx:
        marks = {(one.tier, one.model): one for one in model_stats.model_marks(tx, tenant=visitor.sees, days=days)}
    return render(
        request,
        "profile.html",
        profile=profile,
        marks=marks,
        calibrations=[one for one in standings(tenant=visitor.sees) if (one.cheap_model, one.frontier_model) in pairs],
        days=days,
    )
