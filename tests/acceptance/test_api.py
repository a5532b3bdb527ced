"""The HTTP API in front of real processes: what a newcomer does with curl and the official OpenAI client."""

import csv
import io
import json
import subprocess
import sys

import openai
import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from tests.acceptance.web_deployment import ticket, web_deployment
from tests.servers import free_port


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with web_deployment(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.mark.timeout(300)
def test_a_file_of_tickets_is_submitted_watched_and_its_results_fetched(web):
    lines = "".join(f"{json.dumps(ticket(n))}\n" for n in range(60))
    with web.client() as client:
        sent = client.post(
            "/v1/jobs/upload", data={"workflow": "triage"}, files={"file": ("tickets.jsonl", lines.encode())}
        )
        job = sent.json()["job"]
        with client.stream("GET", f"/v1/jobs/{job}/events", timeout=120) as events:
            said = [json.loads(line[5:]) for line in events.iter_lines() if line.startswith("data:")]
        assert said[-1]["state"] == "done"
        assert len(said) > 1
        results = [json.loads(line) for line in client.get(f"/v1/jobs/{job}/results").text.splitlines()]
        table = list(csv.DictReader(io.StringIO(client.get(f"/v1/jobs/{job}/results?format=csv").text)))
        report = client.get(f"/v1/jobs/{job}/report").json()
        steps = {step["name"]: step for step in client.get(f"/v1/jobs/{job}/steps").json()}
    assert (
        [one["item_id"] for one in results] == [row["item_id"] for row in table] == [f"T-{1000 + n}" for n in range(60)]
    )
    assert all(one["status"] == "settled" for one in results)
    assert report["saving"] > 0
    assert steps["sort"]["settled"] == 60
    assert steps["sort"]["escalated"] > 0
    assert steps["sort"]["cost_usd"] > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_official_openai_client_gets_an_answer_cheap_first(web, stream):
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=120, max_retries=0) as client:
        assert "firstline/sort_ticket" in [model.id for model in client.models.list()]
        assert client.models.retrieve("firstline/sort_ticket").owned_by == "firstline"
        messages = [{"role": "user", "content": "Where is my parcel?"}]
        answer = client.chat.completions.create(model="firstline/sort_ticket", messages=messages, stream=stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer) if stream else None
        said = json.loads(text if stream else answer.choices[0].message.content)
    assert said["topic"] in ("delivery", "payment", "returns", "account")
    if not stream:
        assert answer.usage.total_tokens > 0
        with web.client() as http:
            assert http.get(f"/v1/jobs/{answer.model_extra['firstline']['job']}").json()["settled"] == 1


@pytest.mark.timeout(120)
def test_a_stream_ends_with_its_usage_where_that_was_asked_for(web):
    messages = [{"role": "user", "content": "Where is my parcel?"}]
    with openai.OpenAI(base_url=f"{web.url}/v1", api_key=web.token, timeout=120, max_retries=0) as client:
        asked = {"model": "firstline/sort_ticket", "messages": messages, "stream": True}
        *answer, last = client.chat.completions.create(**asked, stream_options={"include_usage": True})
        with client.chat.completions.stream(model=asked["model"], messages=messages) as events:
            whole = events.get_final_completion()
    assert [len(chunk.choices) for chunk in answer] == [1, 1]
    assert last.choices == []
    assert last.usage.total_tokens > 0
    assert json.loads(whole.choices[0].message.content)["topic"]


@pytest.mark.timeout(120)
def test_the_official_openai_client_understands_a_refusal(web):
    right, wrong = (openai.OpenAI(base_url=f"{web.url}/v1", api_key=key, max_retries=0) for key in (web.token, "wrong"))
    with right:
        for stream in (False, True):
            with pytest.raises(openai.NotFoundError, match="no model is called"):
                right.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "a"}], stream=stream)
        with pytest.raises(openai.NotFoundError, match="no model is called"):
            right.models.retrieve("firstline/nothing")
        with pytest.raises(openai.BadRequestError, match="one user message"):
            right.chat.completions.create(model="firstline/sort_ticket", messages=[{"role": "system", "content": "a"}])
        with pytest.raises(openai.InternalServerError, match="it waits for a person"):
            right.chat.completions.create(model="firstline/tricky", messages=[{"role": "user", "content": "a"}])
    with wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()


@pytest.mark.timeout(240)
def test_models_are_compared_and_one_is_made_the_skills(web):
    body = {"workflow": "draft_reply", "items": [{**ticket(n), "topic": "delivery"} for n in range(6)]}
    with web.client() as client:
        begun = client.post("/v1/comparisons", json=body | {"models": ["openai/cheap", "openai/frontier"]}).json()
        for job in begun["jobs"]:
            web.wait(job["job"], timeout_s=120)
        found = client.get(f"/v1/comparisons/{begun['id']}").json()
        assert found["models"] == ["openai/cheap", "openai/frontier"]
        assert len(found["result"]["rows"]) == 6
        cheap, frontier = found["result"]["candidates"]
        assert cheap["usd_per_1000_items"] < frontier["usd_per_1000_items"]
        chosen = client.put("/v1/skills/draft_reply/model", json={"profile": "simulated", "model": "openai/frontier"})
        assert chosen.json() == {"tier": "frontier"}
        assert client.get("/v1/skills/draft_reply").json()["value"]["policy"]["start"] == "frontier"


@pytest.mark.timeout(120)
def test_without_a_token_only_loopback_is_served_and_the_first_token_opens_the_rest(tmp_path):
    port = free_port()
    env = {
        "FIRSTLINE_STATE_DIR": str(tmp_path),
        "FIRSTLINE_REDIS_URL": "redis://127.0.0.1:9/0",
        "PATH": "/usr/bin:/bin",
    }
    argv = [sys.executable, "-m", "firstline.orchestrator.cli", "serve", "--host", "0.0.0.0", "--port", str(port)]
    process = subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)
    try:
        said = [process.stderr.readline() for _ in range(2)]
        assert "only this machine is served" in said[0]
        assert f"http://127.0.0.1:{port}" in said[1]
        made = subprocess.run(
            [sys.executable, "-m", "firstline.orchestrator.cli", "token", "create", "ada", "--role", "viewer"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert made.stdout.startswith("fl_")
        assert f"http://0.0.0.0:{port}" in process.stderr.readline()
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_producer_loads_no_web_framework():
    heavy = ("fastapi", "starlette", "litellm", "uvicorn", "jinja2")
    code = f"import firstline.orchestrator.api, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.timeout(120)
def test_a_token_of_one_tenant_cannot_see_anothers_job(web):
    job = web.submit("sort_ticket", 2)
    other, _ = tokens.create(api.engine().db, name="other", role=Role.OPERATOR, tenant="other")
    with web.client(other) as client:
        assert client.get(f"/v1/jobs/{job}").status_code == 404
