"""Items that harm whoever works on them: checks that abort, eat memory or never return, answers without an end."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import select

from bench.chaos.scene import Scene
from firstline.orchestrator import api
from firstline.orchestrator.store.tables import AttemptRow, ItemRow
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from tests.servers import free_port

#: Items of each kind of poison, and of those without.
EACH, SOUND = 3, 30
#: Calls that an item may take until it has failed.
TRIES = 3
#: Seconds after which a call is given up.
CALL_S = 10.0
#: Seconds in which the whole job of poison has to be over.
LIMIT_S = 240.0
FLOOD_BYTES = 100 * 2**20
_CHECKS = """
import os

def holds(value, item):
    if "aborts" in item["text"]:
        os.abort()
    if "eats" in item["text"]:
        held = []
        while True:
            held.append(bytearray(1 << 24))
    while "hangs" in item["text"]:
        pass
    return True
"""
#: What does harm -> which items are to fail of it.
OF_CHECKS, OF_ANSWERS = ("aborts", "eats", "hangs"), ("floods", "drips")


class _Provider(BaseHTTPRequestHandler):
    """Answers chats; to some prompts without an end, or a byte a minute."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with suppress(OSError):  # nobody listens any more
            if "floods" in asked:
                self._begin(FLOOD_BYTES)
                for _ in range(FLOOD_BYTES // 65_536):
                    self.wfile.write(b"x" * 65_536)
            elif "drips" in asked:
                self._begin(1000)
                for _ in range(1000):
                    self.wfile.write(b" ")
                    time.sleep(60)
            else:
                self._answer()

    def _answer(self) -> None:
        message = {"role": "assistant", "content": json.dumps({"label": "a"})}
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "poison",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        body = json.dumps(answer).encode()
        self._begin(len(body))
        self.wfile.write(body)

    def _begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), _Provider)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def poisoned_checks(scene: Scene) -> None:
    """Beside the job, have items checked that abort the check, eat memory, or never return."""
    _beside(scene, OF_CHECKS)


def poisoned_answers(scene: Scene) -> None:
    """Beside the job, ask a provider that sends 100 MB, or a byte a minute."""
    _beside(scene, OF_ANSWERS)


def _beside(scene: Scene, kinds: tuple[str, ...]) -> None:
    scene.wait_until_share(0.1)
    folder = scene.deployment.folder / "functions"
    folder.mkdir(exist_ok=True)
    (folder / "poison.py").write_text(_CHECKS)
    texts = [*(f"{kind} {n}" for kind in kinds for n in range(EACH)), *(f"sound {n}" for n in range(SOUND))]
    with _provider() as url:
        scene.strike("poison")
        job = api.submit(
            _request(url, checked=kinds == OF_CHECKS),
            ({"id": text, "text": text} for text in texts),
            folders=[folder.absolute()],
        )
        deadline = time.monotonic() + LIMIT_S
        while not api.status(job).state.ended and time.monotonic() < deadline:
            time.sleep(0.5)
    _tell(scene, job, kinds)


def _request(url: str, *, checked: bool) -> JobRequest:
    tiers = [
        {
            "name": name,
            "concurrency": concurrency,
            "timeout_s": CALL_S,
            "models": [{"name": "openai/poison", "api_base": url, "price": {"input": 1, "output": 1}}],
        }
        for name, concurrency in (("cheap", 64), ("frontier", 32))
    ]
    skill = {
        "name": "poisoned",
        "instructions": "Say which label fits.",
        "input": {"text": {}},
        "output": {"type": "object", "properties": {"label": {"enum": ["a"]}}, "required": ["label"]},
        "checks": [{"kind": "function", "path": "poison:holds"}] if checked else [],
        "policy": {"attempts_per_tier": 1},
    }
    flow = Workflow(name="poison", steps=(Step(name="s", skill="poisoned"),), skills=(Skill.model_validate(skill),))
    profile = Profile.model_validate({"name": "poison", "tiers": tiers})
    return JobRequest(workflow=flow, profile=profile, options=Options(dedupe=False))


def _tell(scene: Scene, job: str, kinds: tuple[str, ...]) -> None:
    item = ItemRow.__table__.c  # type: ignore[attr-defined]
    query = select(item.n, item.item_id, item.state, item.reason).where(item.job == job, item.n >= 0)
    made = AttemptRow.__table__.c  # type: ignore[attr-defined]
    with api.engine().db.reading() as tx:
        rows = tx.execute(query).all()
        calls = tx.execute(select(made.item, made.purpose).where(made.job == job)).all()
    # A call that only proves that the model answers is not one about the item.
    tries = Counter(one.item for one in calls if one.purpose != "probe")
    for kind in kinds:
        mine = [row for row in rows if row.item_id.startswith(kind)]
        scene.tell(f"{kind}: items that did not fail with a reason", sum(not _is_told(row) for row in mine), 0)
        scene.tell(f"{kind}: calls an item at most", max(tries[row.n] for row in mine), TRIES)
        scene.note(f"{kind}: {next((row.reason for row in mine if row.reason), 'no reason')}")
    scene.note(f"calls of our own that proved the model: {sum(one.purpose == 'probe' for one in calls)}")
    sound = [row for row in rows if row.item_id.startswith("sound")]
    scene.tell("items beside poison without an answer", sum(row.state != "settled" for row in sound), 0)


def _is_told(row: object) -> bool:
    return bool(row.state == "failed" and row.reason)  # type: ignore[attr-defined]
