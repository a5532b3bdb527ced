"""What people already use, in front of real processes: MCP clients, LangChain, CrewAI, and a plain Celery producer."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import celery
import httpx
import pytest

from firstline.orchestrator import api
from firstline.schemas.job import JobRequest
from tests.acceptance.tutorial_page import File, script
from tests.acceptance.web_deployment import ticket, web_deployment
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ("delivery", "payment", "returns", "account")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with web_deployment(tmp_path_factory.mktemp("frameworks")) as made:
        yield made


def environment(web) -> dict[str, str]:
    return {**os.environ, **web.deployment.settings, "PYTHONPATH": str(ROOT / "src")}


async def a_model_has_tickets_sorted(client) -> None:
    """Do what a model would do with the tools."""
    offered = (await client.call_tool("list_workflows", {})).structured_content
    fields = {one["name"]: list(one["fields"]) for one in offered["workflows"]}
    assert fields["sort_ticket"] == ["text"]
    order = {"workflow": "sort_ticket", "items": [ticket(n) for n in range(12)], "budget_usd": 1}
    job = (await client.call_tool("submit", order)).structured_content["job"]
    status = (await client.call_tool("status", {"job": job, "wait_s": 50})).structured_content
    assert (status["state"], status["settled"]) == ("done", 12)
    page = (await client.call_tool("results", {"job": job, "skip": 10})).structured_content
    assert [one["item_id"] for one in page["results"]] == ["T-1010", "T-1011"]
    assert all(one["output"]["topic"] in TOPICS for one in page["results"])
    report = (await client.call_tool("report", {"job": job})).structured_content
    assert report["saving"] > 0
    gone = await client.call_tool("status", {"job": "0101-00"})
    assert gone.is_error
    assert "there is no job" in gone.content[0].text


def test_an_mcp_client_has_work_done_over_standard_input_and_output(web):
    mcp = pytest.importorskip("mcp")
    server = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "firstline.orchestrator.cli", "mcp"], env=environment(web), cwd=web.folder
    )

    async def use() -> None:
        with (web.folder / "mcp.log").open("w") as log:
            async with mcp.Client(mcp.stdio_client(server, errlog=log)) as client:
                await a_model_has_tickets_sorted(client)

    asyncio.run(use())


def test_an_mcp_client_has_work_done_over_http_with_a_token_and_not_without(web):
    mcp = pytest.importorskip("mcp")
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    port = free_port()
    argv = [sys.executable, "-m", "firstline.orchestrator.cli", "mcp", "--http", "--port", str(port)]
    process = subprocess.Popen(argv, env=environment(web), cwd=web.folder, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/mcp"

    async def use() -> None:
        http = create_mcp_http_client(headers={"authorization": f"Bearer {web.token}"})
        async with http, mcp.Client(streamable_http_client(url, http_client=http)) as client:
            await a_model_has_tickets_sorted(client)

    try:
        assert url in process.stderr.readline()
        asyncio.run(use())
        assert httpx.post(url, json={}).status_code == 401
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_langchain_asks_one_question_and_a_batch_as_one_job(web):
    langchain = pytest.importorskip("firstline.orchestrator.integrations.langchain")
    sort = langchain.FirstlineRunnable("sort_ticket", url=web.url, token=web.token, timeout_s=120)
    assert sort.invoke("Where is my parcel?")["topic"] in TOPICS
    before = len(api.jobs())
    answers = sort.batch([ticket(n) for n in range(8)])
    assert [answer["topic"] in TOPICS for answer in answers] == [True] * 8
    assert len(api.jobs()) == before + 1
    tool = langchain.firstline_tool("sort_ticket", url=web.url, token=web.token)
    assert tool.description.startswith("Says what a ticket is about")
    assert json.loads(tool.invoke({"text": "I want my money back."}))["topic"] in TOPICS
    stuck = langchain.firstline_tool("tricky", url=web.url, token=web.token)
    assert "job " in stuck.invoke({"text": "Pay me."})


CREWAI = """
import json, sys
from firstline.orchestrator.integrations.crewai import FirstlineTool
tool = FirstlineTool("sort_ticket", url=sys.argv[1], token=sys.argv[2], timeout_s=120)
print(json.dumps({"description": tool.description, "fields": list(tool.args_schema.model_fields)}))
print(tool.run(text="Where is my parcel?"))
print(tool.to_structured_tool().invoke({"text": "Where is my parcel?"}))
"""


def test_crewai_asks_a_workflow_as_a_tool(web):
    python = os.environ.get("FIRSTLINE_TEST_CREWAI")
    if python is None:
        pytest.skip("FIRSTLINE_TEST_CREWAI names no Python that has crewai, which wants an environment of its own")
    argv = [python, "-c", CREWAI, web.url, web.token]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "CREWAI_DISABLE_TELEMETRY": "true",
        "OTEL_SDK_DISABLED": "true",
    }
    done = subprocess.run(argv, env=env, cwd=web.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, *answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told["fields"] == ["text"]
    assert "Says what a ticket is about" in told["description"]
    assert [answer["topic"] in TOPICS for answer in answers] == [True, True]


def bare_producer(web) -> celery.Celery:
    app = celery.Celery(broker=web.deployment.redis.url, backend=web.deployment.redis.url)
    app.conf.result_backend_transport_options = {"global_keyprefix": "firstline:"}
    return app


def test_a_plain_celery_producer_submits_by_name_and_gets_the_jobs_id(web):
    with bare_producer(web) as app:
        wanted = {"request": {"workflow": "sort_ticket"}, "items": [ticket(n) for n in range(5)]}
        job = app.send_task("firstline.submit", queue="firstline.orchestrator", kwargs=wanted).get(timeout=60)
        assert web.wait(job) == "done"
        assert api.status(job).settled == 5


def test_a_plain_celery_producer_is_told_what_will_not_do_in_a_sentence(web):
    with bare_producer(web) as app:
        wanted = {"request": {"workflow": "sort_tickets"}, "items": [ticket(1)]}
        sent = app.send_task("firstline.submit", queue="firstline.orchestrator", kwargs=wanted)
        with pytest.raises(Exception, match="did you mean 'sort_ticket'") as told:
            sent.get(timeout=60)
    assert type(told.value).__name__ == "UserError"


@pytest.mark.parametrize(
    ("file", "said"), [("langchain_step.py", r"\['topic', 'urgent'\]\n2\n"), ("celery_producer.py", r"\d{4}-\w{8}\n")]
)
def test_the_how_tos_scripts_do_as_they_say(web, tmp_path, file, said):
    if file.startswith("langchain"):
        pytest.importorskip("firstline.orchestrator.integrations.langchain")
    page = (ROOT / "docs" / "howto" / "from.md").read_text("utf-8")
    (text,) = (step.text for step in script(page) if isinstance(step, File) and step.path == file)
    (tmp_path / file).write_text(text)
    env = environment(web) | {"FIRSTLINE_SERVED_AT": web.url, "FIRSTLINE_TOKEN": web.token}
    done = subprocess.run([sys.executable, file], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.fullmatch(said, done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("how", ["gone", "hung"])
def test_a_job_submitted_while_redis_is_away_is_kept_and_runs_when_it_is_back(web, how):
    """Last in this file: it takes Redis away from everybody."""
    api.submit(JobRequest(workflow="sort_ticket"), [ticket(0)])
    redis = web.deployment.redis
    redis.kill() if how == "gone" else redis.freeze()
    begun_s = time.monotonic()
    job = api.submit(JobRequest(workflow="sort_ticket"), [ticket(n) for n in range(3)])
    took_s = time.monotonic() - begun_s
    status = api.status(job)
    redis.start() if how == "gone" else redis.thaw()
    assert took_s < 3
    assert status.state == "submitted"
    assert "Redis could not be reached" in status.reason
    assert web.wait(job, timeout_s=120) == "done"
    assert api.status(job).reason is None
