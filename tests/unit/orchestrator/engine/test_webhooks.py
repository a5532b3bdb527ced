"""Webhooks: signed, repeated until heard, never sent into a private network unless allowed."""

import http.server
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy
from standardwebhooks import Webhook

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.engine import webhooks
from firstline.orchestrator.store import webhooks as outbox
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import WebhookRow
from tests.unit.web_house import build_house

SECRET = "whsec_" + "A" * 43 + "="
TABLE = WebhookRow.__table__


class Ear(http.server.BaseHTTPRequestHandler):
    """Notes what it is told, and answers as it was told to."""

    heard: list[tuple[dict[str, str], bytes]]
    answers: list[int]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append((dict(self.headers), body))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def ear():
    handler = type("OneEar", (Ear,), {"heard": [], "answers": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield handler
    server.shutdown()


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, WEBHOOK_SECRET=SECRET, WEBHOOK_PRIVATE="true")


def deliver():
    """Deliver what is due, as if the waiting were over."""
    with api.engine().db.writing() as tx:
        tx.execute(sqlalchemy.update(TABLE).values(due_at=now() - timedelta(seconds=1)))
    return webhooks.deliver_due(api.engine())


def row():
    with api.engine().db.reading() as tx:
        return tx.execute(TABLE.select()).mappings().one()


def test_nothing_is_sent_before_the_job_has_come_to_rest(house, ear):
    house.submit(1, webhook_url=ear.url)
    assert deliver() == 0
    assert ear.heard == []


def test_a_job_that_ended_is_told_once_and_signed(house, ear):
    job = house.submit(1, webhook_url=ear.url)
    api.cancel(job)
    assert [deliver(), deliver()] == [1, 0]
    headers, body = ear.heard[0]
    told = Webhook(SECRET).verify(body, headers)
    assert (told["type"], told["data"]["job"], told["data"]["state"]) == ("job.cancelled", job, "cancelled")


def test_a_job_that_ends_again_is_told_again(house, ear):
    job = house.submit(1, webhook_url=ear.url)
    api.cancel(job)
    deliver()
    api.retry(job)
    assert deliver() == 0
    api.cancel(job)
    assert deliver() == 1
    assert ear.heard[0][0]["webhook-id"] != ear.heard[1][0]["webhook-id"]


def test_what_was_not_heard_is_told_again_later_under_the_same_id(house, ear):
    ear.answers += [500, 302]
    api.cancel(house.submit(1, webhook_url=ear.url))
    assert [deliver(), deliver(), deliver()] == [0, 0, 1]
    assert len({headers["webhook-id"] for headers, _ in ear.heard}) == 1


def test_each_failure_is_waited_out_longer_until_it_is_given_up(house, ear):
    ear.answers += [500] * 20
    api.cancel(house.submit(1, webhook_url=ear.url))
    waits = []
    for _ in webhooks.BACK_OFF_S:
        deliver()
        waits.append((row()["due_at"] - now()).total_seconds())
    assert waits == pytest.approx(webhooks.BACK_OFF_S, abs=5)
    deliver()
    assert row()["state"] == "given_up"
    assert "500" in row()["reason"]
    assert deliver() == 0


def test_a_delivery_is_claimed_by_one_process_only(house, ear):
    api.cancel(house.submit(1, webhook_url=ear.url))
    threads = [threading.Thread(target=webhooks.deliver_due, args=(api.engine(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ear.heard) == 1


def test_a_private_address_is_not_told_unless_allowed(tmp_path, monkeypatch, ear):
    house = build_house(tmp_path, monkeypatch, WEBHOOK_SECRET=SECRET)
    api.cancel(house.submit(1, webhook_url=ear.url))
    assert deliver() == 0
    assert "not a public address" in row()["reason"]
    assert ear.heard == []


@pytest.mark.parametrize("url", ["ftp://example.org/", "https://user:pass@example.org/", "nonsense", "http:///x"])
def test_an_url_that_is_none_is_refused_at_once(house, url):
    answer = house.client().post("/v1/jobs", json={"workflow": "sort", "items": [{"text": "a"}], "webhook_url": url})
    assert answer.status_code == 422
    assert "webhook_url" in answer.json()["detail"]


@pytest.mark.parametrize("secret", ["whsec_short", "whsec_!!!", "c2hvcnQ="])
def test_a_weak_secret_is_refused(tmp_path, monkeypatch, secret):
    from firstline.config.settings import load_settings
    from firstline.schemas.errors import UserError

    monkeypatch.setenv("FIRSTLINE_WEBHOOK_SECRET", secret)
    with pytest.raises(UserError, match="FIRSTLINE_WEBHOOK_SECRET") as refused:
        load_settings()
    assert secret not in str(refused.value)


@pytest.fixture
def dripping():
    """A server that sends a byte of its headers every tenth of a second and never ends; return its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not over.wait(0.1):
                connection.sendall(b"x")

    threading.Thread(target=drip, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    over.set()
    listener.close()


def test_a_receiver_that_answers_a_byte_at_a_time_has_a_deadline(house, dripping, monkeypatch):
    monkeypatch.setattr(webhooks, "_TIMEOUT_S", 1.0)
    began = time.monotonic()
    reason = webhooks.send(dripping, b"{}", message_id="m", settings=get_settings())
    assert reason == "it had not answered within 1 s"
    assert time.monotonic() - began < 8


def test_a_name_server_that_is_silent_is_within_the_deadline(house, monkeypatch):
    monkeypatch.setattr(webhooks, "_TIMEOUT_S", 0.5)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    began = time.monotonic()
    reason = webhooks.send("https://example.org/hook", b"{}", message_id="m", settings=get_settings())
    took_s = time.monotonic() - began
    over.set()
    assert reason == "it had not answered within 0.5 s"
    assert took_s < 8


def test_a_slow_receiver_keeps_nobody_waiting(house, ear, dripping, monkeypatch):
    monkeypatch.setattr(webhooks, "_TIMEOUT_S", 3.0)
    for url in (dripping, ear.url):
        house.client().post(f"/v1/jobs/{house.submit(1, webhook_url=url)}/cancel")
    thread = threading.Thread(target=deliver)
    began = time.monotonic()
    thread.start()
    while not ear.heard and time.monotonic() - began < 10:
        time.sleep(0.02)
    assert ear.heard
    assert thread.is_alive(), "the slow one is waited for still"
    thread.join()


def test_a_tenant_with_many_deliveries_keeps_no_other_waiting(house):
    jobs = [house.submit(1, webhook_url="https://example.org/hook", tenant="many") for _ in range(4)]
    jobs.append(house.submit(1, webhook_url="https://example.org/hook", tenant="one"))
    for number, job in enumerate(jobs):
        api.cancel(job)
        with api.engine().db.writing() as tx:
            due_at = now() - timedelta(seconds=60 - number)
            tx.execute(sqlalchemy.update(TABLE).where(TABLE.c.job == job).values(due_at=due_at))
    with api.engine().db.writing() as tx:
        first = [row["job"] for row in outbox.claim(tx, limit=2, for_s=40)]
        then = [row["job"] for row in outbox.claim(tx, limit=20, for_s=40)]
    assert first == [jobs[0], jobs[4]]
    assert then == jobs[1:4]
