"""Rows of a script: `import firstline` and the names that it offers."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import firstline
from firstline.orchestrator import api
from firstline.orchestrator.run import rows, runner
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.skill import Skill
from tests.unit.web_house import build_house


class Label(BaseModel):
    label: str
    sure: bool = False


class Typed(TypedDict):
    label: str


@pytest.fixture
def settling(tmp_path, monkeypatch):
    """A house whose runs need no workers: every item settles with its own text."""
    build_house(tmp_path, monkeypatch)
    orders = []

    @contextmanager
    def crew(order, record=None, resuming=None):
        orders.append(order)
        yield runner.Crew(order.profile)

    def follow(job, view, check=None, *, title=""):
        with api.engine().db.writing() as tx:
            tx.exec_driver_sql("update item set state = 'settled', output = input, tier = 'cheap'")
            tx.exec_driver_sql("update job set state = 'done'")
        return api.status(job)

    monkeypatch.setattr(runner, "crew_for", crew)
    monkeypatch.setattr(runner, "follow", follow)
    monkeypatch.setattr(runner, "audit", lambda *_: None)
    return orders


def test_rows_become_results_in_their_order(settling):
    ran = firstline.run([{"text": "a"}, {"text": "b"}], "sort", budget_usd=1.5, quiet=True)
    assert ran.outputs == [{"text": "a"}, {"text": "b"}]
    assert [one.status for one in ran.results] == [ItemState.SETTLED] * 2
    assert (ran.status.items, settling[0].request.options.budget_usd) == (2, 1.5)
    assert firstline.map(["one", "two"], "sort", quiet=True) == [{"text": "one"}, {"text": "two"}]
    assert firstline.map([{"body": "x"}], "sort", mapping={"text": "body"}, quiet=True) == [{"text": "x"}]


def names(frame):
    return getattr(frame, "column_names", None) or list(frame.columns)


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_a_frame_comes_back_with_columns_added(settling, library):
    module = pytest.importorskip(library)
    columns = {"text": ["a", "b", None], "n": [1, 2, 3], "tier": ["x", "y", "z"]}
    made = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[library]
    frame = getattr(module, made)(columns)
    if library == "pandas":
        frame.index = ["k", "l", "m"]
        frame["at"] = module.to_datetime(["2026-11-30", None, "2026-12-01"])
    found = firstline.map(frame, "sort", mapping={"text": "text"}, quiet=True)
    assert type(found) is type(frame)
    got = (
        found.to_dict("list") if library == "pandas" else found.to_pydict() if library == "pyarrow" else found.to_dict()
    )
    assert list(got["output.text"])[:2] == ["a", "b"]
    assert list(got["tier"]) == ["x", "y", "z"]
    assert list(got["result.tier"])[:2] == ["cheap", "cheap"]
    assert [list(got["n"]), list(got["output.n"])[:2]] == [[1, 2, 3], [1, 2]]
    if library == "pandas":
        assert list(found.index) == ["k", "l", "m"]
        assert got["output.at"][0] == "2026-11-30T00:00:00"


def test_what_stands_in_place_of_rows_is_named(settling):
    with pytest.raises(UserError, match="expected rows first and the skill second"):
        firstline.map("sort", [{"text": "a"}])


@pytest.mark.parametrize(
    ("given", "told"),
    [([], "no rows: expected at least one"), ([{"body": "x"}], "has `text`, which step 'sort' reads")],
)
def test_rows_that_will_not_do_are_refused_before_anything_starts(settling, given, told):
    with pytest.raises(UserError, match=told):
        firstline.run(given, "sort", quiet=True)
    assert settling == []


@pytest.mark.parametrize("output", [Label, Typed])
def test_a_class_is_taken_for_its_json_schema(output):
    skill = Skill(name="sort", instructions="Sort it.", input={"text": {}}, output=output)
    assert skill.output["properties"]["label"]["type"] == "string"
    assert skill.output["required"] == ["label"]
    assert Skill.model_validate(skill.model_dump(mode="json")) == skill


def test_a_skill_made_in_python_runs_like_one_of_a_file(settling):
    skill = firstline.Skill(name="own", instructions="Sort it.", input={"text": {}}, output=Label)
    assert rows.map(["x"], skill, quiet=True) == [{"text": "x"}]


def test_one_import_offers_its_names_and_loads_nothing_heavy():
    assert all(getattr(firstline, name) is not None for name in firstline.__all__)
    with pytest.raises(AttributeError, match="it has: FirstlineError, "):
        firstline.runn  # noqa: B018
    code = "import firstline, sys; print(sorted({'pydantic', 'celery', 'sqlalchemy', 'redis'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
