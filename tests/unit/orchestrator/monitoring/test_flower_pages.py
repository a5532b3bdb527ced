"""The ways between Flower and our pages, and who may see it."""

from types import SimpleNamespace

import pytest

from firstline.orchestrator import cli
from firstline.orchestrator.monitoring.flower import require_authentication
from firstline.orchestrator.monitoring.flower_pages import with_job_page
from firstline.orchestrator.web.templating import flower_tasks
from firstline.schemas.errors import UserError
from tests.unit.web_house import build_house

LABEL = "(job=1124-0a1b2c3d step=sort tier=cheap attempt=0 batch=b1 subtasks=2)"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "flower.internal"])
def test_other_machines_need_a_password(address: str) -> None:
    with pytest.raises(UserError, match="FLOWER_BASIC_AUTH"):
        require_authentication(address, {})
    with pytest.raises(UserError):
        require_authentication(address, {"FLOWER_BASIC_AUTH": ""})
    require_authentication(address, {"FLOWER_BASIC_AUTH": "ada:secret"})
    require_authentication(address, {"FLOWER_AUTH": ".*@example.org"})


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_none(address: str) -> None:
    require_authentication(address, {})


@pytest.mark.parametrize("auth", ["ada", "ada:", ":secret"])
def test_a_password_without_a_user_is_refused_before_flower_starts(auth: str, capsys) -> None:
    assert cli.main(["flower", "--auth", auth]) == cli.USAGE
    assert "USER:PASSWORD" in capsys.readouterr().err


def test_a_task_shows_where_its_jobs_page_is() -> None:
    shown = with_job_page("https://firstline.example.org/")(SimpleNamespace(args=LABEL))
    assert shown.args == f"{LABEL} https://firstline.example.org/jobs/1124-0a1b2c3d"


@pytest.mark.parametrize("args", ["", None, "()", "('jobless',)"])
def test_a_task_of_no_job_stays_as_it_is(args) -> None:
    assert with_job_page("https://firstline.example.org")(SimpleNamespace(args=args)).args == args


def test_a_jobs_page_links_to_its_messages_in_flower(tmp_path, monkeypatch) -> None:
    house = build_house(tmp_path, monkeypatch, FLOWER_URL="https://flower.example.org/")
    job = house.submit()
    page = house.client().get(f"/jobs/{job}").text
    assert f'href="https://flower.example.org/tasks?name=firstline%20args%3Ajob%3D{job}"' in page


def test_without_a_flower_there_is_no_link(tmp_path, monkeypatch) -> None:
    house = build_house(tmp_path, monkeypatch)
    assert "Flower" not in house.client().get(f"/jobs/{house.submit()}").text
    assert flower_tasks(None, "1124-0a1b2c3d") is None
