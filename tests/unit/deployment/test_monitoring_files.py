"""Dashboard, alerts and autoscalers name what `/metrics` and `/v1/scaling` tell, and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from firstline.orchestrator.monitoring.live_workers import Crowd
from firstline.orchestrator.monitoring.snapshot import InRedis, InSql, Snapshot
from firstline.orchestrator.monitoring.tier_load import tier_loads
from firstline.orchestrator.store.gauges import PARKED, Out
from firstline.orchestrator.web.metrics import Deployment
from firstline.schemas.scaling import TierLoad
from firstline.schemas.tier import Model, Tier

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "monitoring"
PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
CHEAP = Tier(name="cheap", models=(Model(name="m"),))
COUNTS = {
    ("calls", "cheap", "m", "answer", "", "miss"): 1.0,
    ("verdicts", "cheap", "escalate"): 1.0,
    ("escalations", "cheap", "sort"): 1.0,
    ("tokens", "cheap", "m", "input"): 1.0,
    ("cost_usd", "cheap", "m"): 1.0,
    ("unpriced", "cheap", "m"): 1.0,
    ("answers", "sort", "m", "good"): 1.0,
    ("task_cost_usd", "sort"): 1.0,
    ("latency", "cheap", "m", "0"): 1.0,
    ("latency_sum", "cheap", "m"): 0.1,
}


def _told() -> dict[str, set[str]]:
    """Return the name of every sample of a deployment in which everything happens -> its labels."""
    loads = tier_loads({"cheap": CHEAP}, [Out("j", "cheap", 1, 1, 1.0)], workers={"cheap": 1})
    sql = InSql(loads, {}, dict.fromkeys(PARKED, 1), 1, dict.fromkeys(("pending", "agrees", "lost", "void"), 1))
    redis = InRedis(Crowd(silent_s={"w": 1.0}, led=True), {"cheap": 1}, COUNTS)
    text = generate_latest(Deployment(Snapshot(redis, sql))).decode()
    return {s.name: set(s.labels) for family in text_string_to_metric_families(text) for s in family.samples}


METRICS = _told()


def _queries() -> Iterator[tuple[str, str]]:
    board = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    for scaled in yaml.safe_load_all((FOLDER / "keda.yaml").read_text("utf-8")):
        for trigger in scaled["spec"].get("triggers", ()):
            if trigger["type"] == "prometheus":
                yield scaled["metadata"]["name"], trigger["metadata"]["query"]


QUERIES = dict(_queries())


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_names_metrics_that_there_are_by_labels_that_they_have(query: str) -> None:
    named = re.findall(r"\b(firstline_\w+)(?:\{([^}]*)\})?", query)
    assert named
    for metric, selectors in named:
        assert metric in METRICS
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)) <= METRICS[metric]
    everything = set().union(*(METRICS[metric] for metric, _ in named))
    for labels in re.findall(r"\b(?:by|ignoring|on|without) \(([^)]*)\)", query):
        assert {label.strip() for label in labels.split(",")} <= everything
    for opened, closed in ("()", "{}", "[]"):
        assert query.count(opened) == query.count(closed)


def test_every_metric_is_on_the_dashboard() -> None:
    board = (FOLDER / "grafana.json").read_text("utf-8")
    assert [name for name in METRICS if not name.endswith(("_sum", "_count")) and name not in board] == []


def test_every_metric_is_on_the_page() -> None:
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in METRICS}
    assert set(re.findall(r"^\| `(firstline_\w+)`", PAGE, re.MULTILINE)) == base


def test_panels_lie_side_by_side() -> None:
    taken = set()
    for panel in json.loads((FOLDER / "grafana.json").read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_an_autoscaler_reads_a_number_that_the_api_gives() -> None:
    objects = list(yaml.safe_load_all((FOLDER / "keda.yaml").read_text("utf-8")))
    places = [
        trigger["metadata"]["valueLocation"]
        for scaled in objects
        for trigger in scaled["spec"].get("triggers", ())
        if trigger["type"] == "metrics-api"
    ]
    assert places
    for place in places:
        tiers, _, field = place.split(".")
        assert tiers == "tiers"
        assert TierLoad.model_fields[field].annotation is int


def test_the_runbook_says_of_every_alert_what_to_do():
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    lines = re.findall(
        r"^\| `(Firstline\w+)` \| (.+) \| (.+) \|$", (ROOT / "docs" / "runbook.md").read_text("utf-8"), re.MULTILINE
    )
    assert [name for name, _, _ in lines] == [rule["alert"] for rule in rules]
