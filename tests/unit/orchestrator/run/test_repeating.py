"""Runs that come again: at their times, and once for each file."""

from datetime import timedelta

import pytest

from firstline.orchestrator.run.repeating import arrivals, every, refuse_one_file
from firstline.schemas.errors import UserError


class Enough(Exception):
    """What a test ends an endless run with."""


def test_it_runs_now_and_at_every_interval_and_passes_over_what_it_slept_through():
    now, ran, slept = [0.0], [], []
    takes = iter([5.0, 130.0, 1.0])

    def once():
        ran.append(now[0])
        now[0] += next(takes)

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds
        if len(slept) == 3:
            raise Enough

    with pytest.raises(Enough):
        every(timedelta(minutes=1), once, sleep=sleep, clock=lambda: now[0])
    assert ran == [0.0, 60.0, 240.0]
    assert slept == [55.0, 50.0, 59.0]


def test_a_file_arrives_when_it_has_stopped_growing_and_again_when_it_has_changed(tmp_path):
    looks = []

    def sleep(_):
        looks.append(len(looks))
        match looks[-1]:
            case 0:
                (tmp_path / "a.csv").write_text("id,te")
                (tmp_path / ".hidden").write_text("x")
                (tmp_path / "folder").mkdir()
            case 1:
                (tmp_path / "a.csv").write_text("id,text\n1,whole\n")
            case 4:
                (tmp_path / "a.csv").write_text("id,text\n1,changed it is\n")
            case 8:
                raise Enough

    found = []
    with pytest.raises(Enough):
        found.extend((looks[-1], one) for one in arrivals(tmp_path, what="sort", sleep=sleep))
    assert [(at, one.path.name) for at, one in found] == [(2, "a.csv"), (5, "a.csv")]
    first, second = (one for _, one in found)
    assert first.key != second.key
    assert second.out("done/{name}.xlsx") == "done/a.xlsx"
    again = next(arrivals(tmp_path, what="sort", sleep=lambda _: None))
    assert again.key == second.key, "whoever looks, the same file is the same job"


def test_what_watches_needs_a_folder_and_a_place_for_each_result(tmp_path):
    with pytest.raises(UserError, match="--watch: expected a folder"):
        next(arrivals(tmp_path / "none", what=""))
    with pytest.raises(UserError, match=r"expected \{name\} in --out"):
        refuse_one_file("all.csv")
    for out in (None, "-", "done/{name}.csv", "sqlite:///a.db?table=t"):
        refuse_one_file(out)
