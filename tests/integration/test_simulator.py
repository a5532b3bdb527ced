"""The simulator as a process, over real HTTP."""

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import parse_script


@pytest.fixture
def process(tmp_path):
    """Start `python -m firstline.workers.simulator`; returns its URL and its log file."""
    started = []

    def start(script):
        path, log = tmp_path / "script.yaml", tmp_path / "paid.jsonl"
        path.write_text(script)
        command = [sys.executable, "-m", "firstline.workers.simulator", str(path), "--port", "0", "--log", str(log)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        ready = json.loads(started[-1].stdout.readline())
        assert ready["ready"] is True
        return f"http://127.0.0.1:{ready['port']}", log

    yield start
    for simulator in started:
        simulator.terminate()
        simulator.wait(timeout=10)


def body(text, model="m"):
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def test_the_log_has_every_paid_call_once_in_memory_and_on_disk(process):
    url, log = process("models: {m: {latency: 0.01, faults: [{kind: server_error, probability: 0.3}]}}")
    with httpx.Client(base_url=url) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.post("/v1/chat/completions", json=body(f"q{n}")), range(300)))
        answered = [answer.json() for answer in answers if answer.status_code == 200]
        paid, stats = client.get("/log").json(), client.get("/stats").json()
        later = client.get("/log", params={"since": 10}).json()
    assert 0 < len(answered) < 300
    assert paid == [json.loads(line) for line in log.read_text().splitlines()]
    assert later == paid[10:]
    assert sorted(call["n"] for call in paid) == list(range(1, len(answered) + 1))
    assert len({call["key"] for call in paid}) == len(answered)
    assert sum(call["output_tokens"] for call in paid) == sum(
        answer["usage"]["completion_tokens"] for answer in answered
    )
    assert stats["models"]["m"]["outcomes"] == {"200": len(answered), "500": 300 - len(answered)}
    assert stats["in_flight"] == 0


def test_health_and_models(process):
    url, _ = process("models: {a: {}, b: {}}")
    assert httpx.get(f"{url}/health").json() == {"status": "ok"}
    assert [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("script", "port", "said"),
    [
        pytest.param("models: {m: {latencyy: 1}}", "0", "models.m.latencyy", id="typo"),
        pytest.param("models: {m: {}}", "taken", "cannot be used", id="port taken"),
        pytest.param(None, "0", "no such file", id="no script"),
    ],
)
def test_what_cannot_be_served_is_one_sentence_and_exit_code_2(tmp_path, script, port, said):
    path = tmp_path / "s.yaml"
    if script is not None:
        path.write_text(script)
    with running(parse_script("models: {m: {}}")) as url:
        number = url.rpartition(":")[2] if port == "taken" else port
        command = [sys.executable, "-m", "firstline.workers.simulator", str(path), "--port", number]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"model": "m", "messages": []}', 400),
        (b'{"model": "other", "messages": [{}]}', 404),
    ],
)
def test_a_bad_request_is_told_in_openais_shape(raw, status):
    with running(parse_script("models: {m: {}}")) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", content=raw)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_client_that_went_away_is_charged_and_marked():
    with running(parse_script("models: {m: {latency: 0.5}}")) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/chat/completions", json=body("q"), timeout=0.1)
        time.sleep(0.7)
        assert [call["delivered"] for call in httpx.get(f"{url}/log").json()] == [False]


def test_calls_wait_side_by_side():
    async def ask(url):
        async with httpx.AsyncClient(base_url=url) as client:
            await asyncio.gather(*(client.post("/v1/chat/completions", json=body(f"q{n}")) for n in range(50)))

    with running(parse_script("models: {m: {latency: 0.3}}")) as url:
        started = time.monotonic()
        asyncio.run(ask(url))
        assert time.monotonic() - started < 3
        assert httpx.get(f"{url}/stats").json()["in_flight_peak"] > 20


def test_limits_allow_what_they_say_and_no_more():
    with (
        running(parse_script("models: {m: {limits: {requests_per_minute: 600, burst: 0.01}}}")) as url,
        httpx.Client(base_url=url) as client,
    ):
        started = time.monotonic()
        statuses = [client.post("/v1/chat/completions", json=body(f"q{n}")).status_code for n in range(100)]
        allowed = 6 + (time.monotonic() - started) * 10
    assert 6 <= statuses.count(200) <= allowed + 1
    assert set(statuses) == {200, 429}


def upload(client, lines):
    content = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    answer = client.post("/v1/files", files={"file": ("in.jsonl", content)}, data={"purpose": "batch"})
    return answer.json()["id"]


def begin(client, file):
    order = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return client.post("/v1/batches", json=order).json()


def request(n, model="m"):
    return {"custom_id": f"item-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body(f"q{n}", model)}


def poll(client, batch, within_s=10.0):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        batch = client.get(f"/v1/batches/{batch['id']}").json()
        if batch["status"] not in ("validating", "in_progress", "finalizing"):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"the batch did not end: {batch}")


def lines(client, file):
    return [json.loads(line) for line in client.get(f"/v1/files/{file}/content").text.splitlines()] if file else []


def test_a_batch_is_answered_after_its_turnaround():
    with (
        running(parse_script("models: {m: {}}\nbatches: {turnaround_s: 0.2}")) as url,
        httpx.Client(base_url=url) as client,
    ):
        batch = begin(client, upload(client, [request(n) for n in range(5)]))
        assert batch["status"] == "in_progress"
        ended = poll(client, batch)
        answers = lines(client, ended["output_file_id"])
        paid = client.get("/log").json()
    assert (ended["status"], ended["error_file_id"]) == ("completed", None)
    assert ended["request_counts"] == {"total": 5, "completed": 5, "failed": 0}
    assert [line["custom_id"] for line in answers] == [f"item-{n}" for n in range(5)]
    assert all(line["response"]["body"]["choices"] for line in answers)
    assert {call["batch"] for call in paid} == {batch["id"]}


def test_requests_of_a_batch_expire_on_script_and_succeed_when_sent_again():
    script = "models: {m: {}}\nbatches: {turnaround_s: 0, expired: 0.5, expire_first: 1}"
    with running(parse_script(script)) as url, httpx.Client(base_url=url) as client:
        first = poll(client, begin(client, upload(client, [request(n) for n in range(20)])))
        lost = lines(client, first["error_file_id"])
        again = poll(client, begin(client, upload(client, [request(n) for n in range(len(lost))])))
        paid = client.get("/log").json()
    assert first["status"] == "expired"
    assert 0 < len(lost) < 20
    assert {line["error"]["code"] for line in lost} == {"batch_expired"}
    assert again["status"] == "completed"
    assert len(paid) == 20


def test_a_request_that_fails_is_in_the_error_file():
    with (
        running(parse_script("models: {m: {}}\nbatches: {turnaround_s: 0}")) as url,
        httpx.Client(base_url=url) as client,
    ):
        ended = poll(client, begin(client, upload(client, [request(0), request(1, "other")])))
        [failed] = lines(client, ended["error_file_id"])
    assert (ended["status"], ended["request_counts"]["failed"]) == ("completed", 1)
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("item-1", 404)


@pytest.mark.parametrize("wrong", ["{", json.dumps(request(0))], ids=["no JSON", "custom id twice"])
def test_a_file_with_a_wrong_line_fails_its_batch(wrong):
    with running(parse_script("models: {m: {}}")) as url, httpx.Client(base_url=url) as client:
        batch = begin(client, upload(client, [request(0), wrong]))
    assert (batch["status"], batch["errors"]["data"][0]["line"]) == ("failed", 2)


def test_a_batch_can_be_cancelled():
    with (
        running(parse_script("models: {m: {}}\nbatches: {turnaround_s: 60}")) as url,
        httpx.Client(base_url=url) as client,
    ):
        batch = begin(client, upload(client, [request(0)]))
        assert client.post(f"/v1/batches/{batch['id']}/cancel").json()["status"] == "cancelled"
        assert client.get("/log").json() == []
