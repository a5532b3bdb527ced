"""The bench of floods in its short form: who sends what may not be sent costs another tenant little."""

import json

import pytest

from bench.abuse import main

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def test_strangers_and_bodies_beyond_reason_cost_another_tenant_little(capsys, monkeypatch):
    # It tells processes apart by their commands, and weighs them: they are started as any deployment's are.
    monkeypatch.delenv("PYTEST_VERSION")
    main(["--quick", "--json", "--only", "strangers", "--only", "deep_bodies"])
    targets = {one["name"]: one for one in json.loads(capsys.readouterr().out)["targets"]}
    # The time of `/health` alone is a few milliseconds: what is held against it is the machine's as much as ours.
    held = {name: one for name, one in targets.items() if "/health" not in name}
    assert len(held) == 6
    assert [one for one in held.values() if not one["met"]] == []
