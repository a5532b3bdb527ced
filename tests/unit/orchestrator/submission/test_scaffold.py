"""Files to begin with: in order as they are, and never over what is there."""

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.check import check_path
from firstline.config.settings import get_settings
from firstline.orchestrator.submission.scaffold import new_skill, new_workflow
from firstline.schemas.errors import UserError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTLINE_HOME", raising=False)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.mark.parametrize("new", [new_skill, new_workflow], ids=["skill", "workflow"])
@pytest.mark.parametrize("name", ["a", "my-sort", "my_sort2"])
def test_what_is_written_is_in_order_and_found_by_name(new, name):
    path = new(name)
    assert check_path(path).problems == ()
    catalogue = load_catalogue()
    assert catalogue.problems == ()
    assert catalogue.workflow(name).name == name


def test_the_users_own_folder_is_where_it_goes(empty_folder, monkeypatch):
    home = empty_folder / "ours"
    home.mkdir()
    monkeypatch.setenv("FIRSTLINE_HOME", str(home))
    get_settings.cache_clear()
    assert new_skill("mine") == home / "skills" / "mine.yaml"


def test_a_file_that_is_there_stays_as_it_is():
    path = new_skill("mine")
    path.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        new_skill("mine")
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "Mine", "../mine", "1st", "a b", "a.yaml"])
def test_a_name_that_will_not_do_is_refused_and_nothing_written(name, empty_folder):
    with pytest.raises(UserError, match="expected a name of lower-case letters"):
        new_workflow(name)
    assert list(empty_folder.iterdir()) == []
