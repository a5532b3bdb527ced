"""Workflows as editable graphs: the YAML in the form is the truth, every edit is a value-to-value change of it."""

from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from firstline.config.catalogue.catalogue import BUILT_IN_TOOLS, Catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import NONE_YET, ChangedMeanwhile, history, own_file, save_own, version_of
from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.catalogue.yaml_text import as_yaml, rewritten
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.reports.item_history import story_of
from firstline.orchestrator.web.access import Visitor
from firstline.orchestrator.web.catalogues import current_catalogue
from firstline.orchestrator.web.drawing import HEIGHT, WIDTH, draw
from firstline.orchestrator.web.editing import add_step, alone, change_step, connect, find, needs_of, remove_step
from firstline.orchestrator.web.parameters import Name
from firstline.orchestrator.web.session import Filled, FormAdmin, FormOperator, FormViewer, PageJob, Visit, go
from firstline.orchestrator.web.templating import render
from firstline.orchestrator.web.unsafe import refuse_unsafe
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.policy import Demand
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_text import read_json

router = APIRouter(prefix="/workflows")

TRY = "try"
_Act = Literal["show", "add", "remove", "connect", "change", "select"]


@router.get("")
def show_catalogue(request: Request, visitor: Visit) -> Response:
    """Show what there is."""
    return render(request, "workflows.html", catalogue=current_catalogue(visitor.tenant))


@router.get("/new")
def show_new(request: Request, visitor: Visit) -> Response:
    """Begin a workflow."""
    skill = next(iter(current_catalogue(visitor.tenant).skills)).name
    workflow = Workflow(name="my-workflow", steps=(Step(name="first", skill=skill),))
    return _page(request, as_yaml(workflow), "", version=NONE_YET)


@router.get("/{name}")
def show_workflow(request: Request, visitor: Visit, name: Name, saved: bool = False) -> Response:
    """Show a workflow in the editor, as its file has it."""
    entry = current_catalogue(visitor.tenant).workflows.entry(name)
    text = entry.file.read_text("utf-8")
    return _page(request, text, "", version=NONE_YET if entry.built_in else version_of(text), saved=saved)


@router.post("/edit/{act}")
def edit(request: Request, visitor: FormViewer, act: _Act, filled: Filled) -> Response:
    """Change the draft in the form, and show the editor again."""
    text, step, version = filled.get("yaml", ""), filled.get("step", ""), filled.get("version", NONE_YET)
    catalogue = current_catalogue(visitor.tenant)
    try:
        before = parsed(text)
        workflow, step = _edited(before, act, step, filled, catalogue)
        # Untouched text stays as it was typed, comments and all.
        text = text if act in ("show", "select") else rewritten(text, before, workflow)
    except UserError as error:
        return render(request, "parts/editor.html", **_editor(catalogue, text, step, version=version, wrong=str(error)))
    return render(request, "parts/editor.html", **_editor(catalogue, text, step, version=version))


@router.post("/save")
def save(request: Request, visitor: FormAdmin, filled: Filled) -> Response:
    """Write the draft as a file of the user's own."""
    text, step, version = filled.get("yaml", ""), filled.get("step", ""), filled.get("version")
    try:
        name = parsed(text).name
        save_own(current_catalogue(visitor.tenant), FileKind.WORKFLOW, name, text, by=visitor.name, version=version)
    except ChangedMeanwhile as error:
        # Saved again, it is written over what is there now: that has been seen.
        return _page(request, text, step, version=error.version, wrong=str(error), difference=error.difference)
    except UserError as error:
        return _page(request, text, step, version=version or NONE_YET, wrong=str(error))
    return go(f"/workflows/{name}?saved=true")


@router.post("/try")
def try_step(request: Request, visitor: FormOperator, filled: Filled) -> Response:
    """Run one step of the draft on a sample, as a job of its own."""
    try:
        job = _tried(parsed(filled.get("yaml", "")), filled, visitor)
    except UserError as error:
        return render(request, "parts/tried.html", wrong=str(error), job=None, story=None, ladder=())
    return _result(request, job)


@router.get("/try/{job}")
def show_tried(request: Request, job: PageJob) -> Response:
    """Show what came of it."""
    return _result(request, job)


def _result(request: Request, job: str) -> Response:
    status = api.status(job)
    with api.engine().db.reading() as tx:
        story = story_of(tx, job=job, n=0)
        ladder = api.engine().job(tx, job).ladder
    return render(request, "parts/tried.html", job=status, story=story, wrong=None, ladder=ladder)


def _tried(workflow: Workflow, filled: dict[str, str], visitor: Visitor) -> str:
    step = find(workflow, filled.get("step", ""))
    catalogue = current_catalogue(visitor.tenant)
    skill = next((one for one in workflow.skills if one.name == step.skill), None)
    lone = alone(step, skill)
    refuse_unsafe(lone, visitor)
    flaws = catalogue.flaws(lone)
    if flaws:
        raise UserError("\n".join(flaw.text for flaw in flaws))
    profile = catalogue.profile(filled.get("profile") or get_settings().profile)
    options = Options(profile=profile.name, tenant=visitor.tenant, purpose=TRY, dedupe=False)
    name = f"try {step.name}"
    request = JobRequest(workflow=lone, profile=profile, name=name, options=options, role=visitor.role)
    return api.submit(request, [_sample(filled.get("sample", ""))])


def _sample(text: str) -> JsonObject:
    try:
        sample = read_json(text)
    except ValueError as error:
        raise UserError(f'sample: expected a JSON object such as {{"text": "..."}} ({error})') from None
    if not isinstance(sample, dict):
        raise UserError("sample: expected a JSON object with the step's input fields")
    return sample


def parsed(text: str) -> Workflow:
    """Return the workflow that a text holds; ConfigError names every line that is wrong."""
    return parse_yaml(text.encode(), Path("workflow.yaml")).parse(Workflow)


def _edited(
    workflow: Workflow, act: _Act, step: str, filled: dict[str, str], catalogue: Catalogue
) -> tuple[Workflow, str]:
    match act:
        case "add":
            return add_step(workflow, skill=filled.get("new_skill", ""), after=step or None)
        case "remove":
            return remove_step(workflow, step), ""
        case "connect":
            return connect(workflow, filled.get("source", ""), filled.get("target", "")), step
        case "change":
            fields = step_fields(filled)
            return change_step(workflow, step, fields, _skills(workflow, catalogue)), fields["name"]
        case "show" | "select":
            return workflow, filled.get("pick", step)


def step_fields(filled: dict[str, str]) -> dict[str, Any]:
    """Return a step's fields as its form holds them."""
    return {
        "name": filled.get("name", "").strip(),
        "kind": filled.get("kind", StepKind.SKILL.value),
        "skill": filled.get("skill") or None,
        "tool": filled.get("tool") or None,
        "start": filled.get("start", ""),
        "reasoning": filled.get("reasoning") or None,
        "when": filled.get("when", "").strip() or None,
        "inputs": _inputs(filled.get("inputs", "")),
        "why": filled.get("why", "").strip(),
    }


def _inputs(text: str) -> dict[str, str]:
    """Return inputs from lines such as `text: item.body`."""
    found = {}
    for line in filter(str.strip, text.splitlines()):
        field, colon, reference = line.partition(":")
        if not colon or not field.strip() or not reference.strip():
            raise UserError(f"inputs: expected lines such as `text: item.body`, got '{line}'")
        found[field.strip()] = reference.strip()
    return found


def _skills(workflow: Workflow, catalogue: Catalogue) -> dict[str, Skill]:
    return {skill.name: skill for skill in catalogue.skills} | {skill.name: skill for skill in workflow.skills}


def _page(
    request: Request,
    text: str,
    step: str,
    *,
    version: str,
    wrong: str | None = None,
    difference: str = "",
    saved: bool = False,
) -> Response:
    catalogue = current_catalogue(request.state.visitor.tenant)
    values = _editor(catalogue, text, step, version=version, wrong=wrong, difference=difference)
    return render(request, "workflow.html", status=422 if wrong else 200, saved=saved, **values)


def _editor(
    catalogue: Catalogue, text: str, chosen: str, *, version: str, wrong: str | None = None, difference: str = ""
) -> dict[str, Any]:
    workflow = None
    try:
        workflow = parsed(text)
    except UserError as error:
        wrong = wrong or str(error)
    steps = {step.name: step for step in workflow.steps} if workflow else {}
    profile = catalogue.profile(get_settings().profile)
    skills = _skills(workflow, catalogue) if workflow else {}
    step = steps.get(chosen)
    return {
        "yaml": text,
        "version": version,
        "difference": difference,
        "history": history(own_file(catalogue, FileKind.WORKFLOW, workflow.name)) if workflow else [],
        "workflow": workflow,
        "steps": steps,
        "step": step,
        "skill": skills.get(step.skill or "") if step else None,
        "wrong": wrong,
        "flaws": [f"{flaw.where}: {flaw.text}" for flaw in catalogue.flaws(workflow)] if workflow else [],
        "drawing": draw({name: needs_of(one) for name, one in steps.items()}),
        "box": {"w": WIDTH, "h": HEIGHT},
        "skills": sorted(skills),
        "tools": sorted({*BUILT_IN_TOOLS, *catalogue.tools.entries}),
        "ladder": profile.ladder,
        "profile": profile.name,
        "kinds": [kind for kind in StepKind if kind is not StepKind.ADAPT],
        "demands": list(Demand),
        "waits_for": needs_of(step) if step else (),
    }
