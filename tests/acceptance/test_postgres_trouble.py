"""PostgreSQL restarted under a run, behind a pooler too: the run goes on, ends right, and shows no traceback."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from firstline.workers.simulator.running import running as simulating
from firstline.workers.simulator.script import load_script
from tests.acceptance.case_runs import CASES, lines_of, prepare
from tests.servers import Missing, Postgres, pgbouncer, postgresql

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.timeout(400), pytest.mark.long]

CASE = "25-postgres-pgbouncer"
ITEMS = 150
AWAY_S = 2.0


@contextmanager
def reached(pooled: bool) -> Iterator[tuple[Postgres, str]]:
    """Start PostgreSQL, behind a pooler or not; yield it and the URL that Firstline is given."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgresql())
            base = stack.enter_context(pgbouncer(server)) if pooled else f"postgres://owner@127.0.0.1:{server.port}"
        except Missing as missing:
            pytest.skip(f"not installed: {missing}")
        server.new_database("firstline")
        yield server, f"{base}/firstline"


@pytest.mark.parametrize("pooled", [False, True], ids=["PostgreSQL alone", "behind pgbouncer"])
def test_a_run_goes_on_through_a_restart_of_postgresql_and_pays_nothing_twice(tmp_path, pooled):
    log = tmp_path / "paid.jsonl"
    with reached(pooled) as (server, url), simulating(load_script(slow(tmp_path)), log=log) as provider:
        folder = prepare(CASE, tmp_path / "case", provider)
        items = (json.dumps({"id": str(n), "text": f"thing {n} where is it"}) for n in range(ITEMS))
        (folder / "items.jsonl").write_text("\n".join(items), "utf-8")
        run = started(folder, url)
        wait_for_answers(f"{server.url}/firstline", run, ITEMS // 5)
        server.stop()
        time.sleep(AWAY_S)
        server.start()
        out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    lines = lines_of(folder / "results.jsonl")
    assert Counter(line["status"] for line in lines) == {"settled": ITEMS}
    assert len({line["item_id"] for line in lines}) == ITEMS
    assert len(lines_of(log)) == ITEMS
    assert "Traceback" not in out + err
    for written in (folder / "state" / "logs").iterdir():
        assert "Traceback" not in written.read_text("utf-8"), written.name


def slow(folder: Path) -> Path:
    """Return the case's script with answers that take a while, so that the restart falls among them."""
    (folder / "answers.jsonl").write_bytes((CASES / CASE / "answers.jsonl").read_bytes())
    script = (CASES / CASE / "script.yaml").read_text("utf-8")
    (folder / "script.yaml").write_text(f"{script}models: {{small: {{latency: 0.3}}}}\n", "utf-8")
    return folder / "script.yaml"


def started(folder: Path, url: str) -> "subprocess.Popen[str]":
    tiers = folder / "tiers" / "case.yaml"
    tiers.write_text(tiers.read_text("utf-8").replace("models:", "concurrency: 4\n    models:"), "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    env |= {"FIRSTLINE_DATABASE_URL": url, "FIRSTLINE_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "firstline.orchestrator.cli", "run", "job.yaml", "--out", "results.jsonl"]
    return subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def wait_for_answers(url: str, run: "subprocess.Popen[str]", count: int) -> None:
    """Wait until so many items are settled; the database is asked past any pooler."""
    engine = create_engine(url)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and run.poll() is None:
        try:
            with engine.connect() as connection:
                if connection.scalar(text("SELECT count(*) FROM item WHERE state = 'settled'")) >= count:
                    break
        except SQLAlchemyError:  # no tables yet
            pass
        time.sleep(0.1)
    else:
        raise AssertionError(run.communicate(timeout=5))
    engine.dispose()
