"""A report's quality by a comparator of the user's, where some items failed."""

from pathlib import Path

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Quality
from firstline.schemas.verdict import Reject
from tests.integration.jobs import PROFILE, work, workflow

#: Breaks on anything but an answer.
STRICT = "def label_is(output, gold):\n    return float(output['label'].endswith(gold))\n"


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "strict_metric.py").write_text(STRICT)
    return folder


def test_a_failed_item_counts_as_0_and_is_never_shown_to_the_comparator(engine: Context, functions: Path):
    scored = workflow(1).evolve(quality=Quality(gold="gold", compare="strict_metric:label_is"))
    request = JobRequest(workflow=scored, profile=PROFILE, options=Options(dedupe=False))
    items = [{"id": str(n), "text": f"text {n}", "gold": str(n)} for n in range(3)]
    job = api.submit(request, items, folders=(functions,))
    start(engine, job)
    work(engine, job, lambda item, _: Reject(reason="no good") if item == 1 else None)
    quality = api.report(job).quality
    assert quality is not None
    assert (quality.items, quality.score, quality.score_all) == (2, 1.0, pytest.approx(2 / 3))
