"""What a job may name, for programs and models that choose: workflows and skills with the fields of their items."""

from collections.abc import Iterable, Iterator
from typing import Literal

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator.submission.item_fields import item_fields
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import InputField, Skill


class Offer(Frozen):
    """A workflow or skill."""

    name: str
    kind: Literal["workflow", "skill"]
    description: str = ""
    #: Fields that an item holds.
    fields: dict[str, InputField]


class Offers(Frozen):
    """What a job may name."""

    workflows: tuple[Offer, ...]
    #: Ladders of models.
    profiles: tuple[str, ...]
    default_profile: str


def offers(catalogue: Catalogue) -> Offers:
    """Return every workflow and skill that is in order; a skill goes where no workflow has its name."""
    skills = (skill for skill in catalogue.skills if skill.name not in catalogue.workflows)
    return Offers(
        workflows=(*_offered(catalogue, "workflow", catalogue.workflows), *_offered(catalogue, "skill", skills)),
        profiles=tuple(profile.name for profile in catalogue.profiles),
        default_profile=get_settings().profile,
    )


def _offered(
    catalogue: Catalogue, kind: Literal["workflow", "skill"], shelf: Iterable[Workflow | Skill]
) -> Iterator[Offer]:
    for one in shelf:
        workflow = catalogue.workflow(one.name)
        fields = item_fields(workflow, catalogue.parts(workflow).skills)
        yield Offer(name=one.name, kind=kind, description=one.description, fields=fields)
