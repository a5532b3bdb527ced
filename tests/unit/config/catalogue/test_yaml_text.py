"""Writing into a text that is there: only what differs is written; comments, order and layout stay."""

import difflib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.catalogue.yaml_text import as_yaml, rewritten
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import Demand
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

ROOT = Path(__file__).parents[4]
TEXT = """\
# mine
name: two-steps   # the name
version: 1

# the steps
steps:
    # the first
    - {name: first, skill: sort, kind: route}
    - name: second   # sorts again
      skill: sort
      after: [first]
      # only an a
      when: "first.label == 'a'"
"""


def read(text: str, model=Workflow):
    return parse_yaml(text.encode(), Path("x.yaml")).parse(model, **({"name": "x"} if model is not Workflow else {}))


def changed(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


FIRST, SECOND = read(TEXT).steps
THIRD = Step(name="third", skill="sort", after=("second",))


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"steps": (FIRST, SECOND.evolve(when="first.label == 'b'"))},
            ["-      when: \"first.label == 'a'\"", "+      when: \"first.label == 'b'\""],
            id="a value",
        ),
        pytest.param({"steps": (FIRST, SECOND, THIRD)}, ["+    - name: third", "+      skill: sort"], id="a step more"),
        pytest.param(
            {"steps": (FIRST.evolve(reasoning=Demand.HIGH), SECOND)},
            [
                "-    - {name: first, skill: sort, kind: route}",
                "+    - {name: first, skill: sort, kind: route, reasoning: high}",
            ],
            id="a field more in a line of its own style",
        ),
        pytest.param({"description": "a: b"}, ["+description: 'a: b'"], id="a text that needs quotes"),
        pytest.param({"steps": (SECOND, FIRST)}, None, id="another order"),
        pytest.param({"steps": (FIRST,)}, None, id="a step less"),
        pytest.param({"steps": (SECOND.evolve(after=(), when=None),)}, None, id="the first step gone"),
    ],
)
def test_only_what_differs_is_written(after, lines):
    value = read(TEXT).evolve(**after)
    text = rewritten(TEXT, read(TEXT), value)
    assert read(text) == value
    assert "# mine\nname: two-steps   # the name" in text
    if lines is not None:
        found = changed(TEXT, text)
        assert all(line in found for line in lines)
        assert not any(line.startswith("-") for line in found) or any(line.startswith("-") for line in lines)


def files(folder: str) -> list[Path]:
    return [*ROOT.glob(f"config/{folder}/*.yaml"), *ROOT.glob(f"examples/*/{folder}/*.yaml")]


@pytest.mark.parametrize("file", files("skills"), ids=lambda file: f"{file.parent.parent.name}-{file.stem}")
def test_another_start_changes_one_line_of_every_skill_that_ships(file):
    text = file.read_text("utf-8")
    skill = read(text, Skill)
    moved = skill.evolve(policy=skill.policy.evolve(start="frontier"))
    new = rewritten(text, skill, moved)
    assert read(new, Skill) == moved
    added = [line for line in changed(text, new) if line.startswith("+")]
    gone = [line for line in changed(text, new) if line.startswith("-")]
    assert len(added) <= 2
    assert len(gone) <= 1
    assert rewritten(text, skill, skill) == text


@pytest.mark.parametrize("file", files("tiers"), ids=lambda file: f"{file.parent.parent.name}-{file.stem}")
def test_another_limit_changes_one_line_of_every_profile_that_ships(file):
    text = file.read_text("utf-8")
    profile = read(text, Profile)
    last = profile.tiers[-1]
    moved = profile.evolve(tiers=(*profile.tiers[:-1], last.evolve(concurrency=last.concurrency + 1)))
    new = rewritten(text, profile, moved)
    assert read(new, Profile) == moved
    assert len(changed(text, new)) <= 2


def test_a_text_whose_form_stands_in_the_way_is_written_anew():
    text = "name: w\nsteps:\n  - &one {name: first, skill: sort}\n  - {<<: *one, name: second}\n"
    value = read(text).evolve(steps=(Step(name="first", skill="other"), Step(name="second", skill="sort")))
    assert read(rewritten(text, read(text), value)) == value


#: What YAML can hold: no control characters, no half ones.
words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]) | st.just("\n"), max_size=40)


@settings(deadline=None, max_examples=50)
@given(words, st.lists(words, max_size=4))
def test_any_text_reads_back_as_it_was(text, parts):
    skill = Skill(name="x", instructions=text or "x", input={"a": {}}, output={"type": "object", "enum": parts})
    assert read(as_yaml(skill), Skill) == skill
    longer = skill.evolve(instructions=f"{skill.instructions} more")
    assert read(rewritten(as_yaml(skill), skill, longer), Skill) == longer
