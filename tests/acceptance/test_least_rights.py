"""Every process with the least rights: a Redis user and a signing key of its own, as compose sets them up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from firstline.config.queues.app import ORCHESTRATOR, make_app, queue
from firstline.config.queues.signing import derived
from firstline.config.settings import Settings
from firstline.orchestrator import api
from firstline.schemas.job import JobRequest, JobState
from firstline.schemas.plan import Step
from firstline.schemas.tier import Tier, TierKind
from firstline.schemas.tool import ToolSpec
from tests.acceptance import workload
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
MASTER = "k" * 64
#: What each process is: its Redis user, and the queues whose keys it has.
PROCESSES = {
    "orchestrator": ("default", ()),
    "worker-cheap,frontier": ("worker", ("cheap", "frontier")),
    "worker-tools": ("tools", ("tools",)),
}


class GuardedRedis(RedisServer):
    """A Redis whose users are those of the file that compose gives to its own."""

    @property
    def url(self) -> str:
        return self.url_of("default")

    def url_of(self, user: str) -> str:
        return f"redis://{user}:{user}-word@127.0.0.1:{self.port}/0"

    @property
    def watcher(self) -> redis.Redis:
        """Whoever watches it for the test is no user of the file."""
        return redis.Redis(port=self.port, decode_responses=True, username="watcher", password="watcher-word")

    def start(self) -> None:
        super().start()
        admin = redis.Redis(port=self.port)
        admin.execute_command("ACL", "SETUSER", "watcher", "on", ">watcher-word", "~*", "&*", "+@all")
        rules = (ROOT / "config" / "redis" / "users.acl").read_text("utf-8")
        for name, word in (("", "default"), ("WORKER_", "worker"), ("TOOLS_", "tools")):
            rules = rules.replace(f"%REDIS_{name}PASSWORD%", f"{word}-word")
        for line in rules.splitlines():
            _, user, *words = line.split()
            self.watcher.execute_command("ACL", "SETUSER", user, "reset", *_rules(words))


def _rules(words: list[str]) -> Iterator[str]:
    """Yield the rules of a line; a selector in brackets is one of them."""
    text = " ".join(words)
    before, bracket, selector = text.partition("(")
    yield from before.split()
    if bracket:
        yield bracket + selector


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("rights")
    server = GuardedRedis(folder / "redis")
    given = {
        name: {
            "FIRSTLINE_REDIS_URL": server.url_of(user),
            "FIRSTLINE_SIGNING_KEY": key_of(*queues),
            "FIRSTLINE_PULSE_FILE": str(folder / f"pulse-{name}"),
        }
        for name, (user, queues) in PROCESSES.items()
    }
    found = Deployment(
        folder / "deployment",
        f"sqlite:///{folder / 'jobs.db'}",
        workload.script(0.05),
        server,
        orchestrators=1,
        workers={"cheap,frontier": 1, "tools": 1},
        given=given,
        env={"FIRSTLINE_SIGNING_KEY": MASTER, "FIRSTLINE_EVENTS": "true"},
    )
    with running(found):
        yield found


def key_of(*queues: str) -> str:
    return ",".join(f"{name}:{derived(MASTER.encode(), name).decode()}" for name in queues) or MASTER


def request_of(deployment: Deployment) -> JobRequest:
    profile = deployment.profile()
    profile = profile.evolve(tiers=(*profile.tiers, Tier(name="tools", kind=TierKind.TOOLS, concurrency=4)))
    request = workload.request(profile, steps=1)
    tool = ToolSpec(name="when", kind="dates")
    step = Step(name="when", kind="tool", tool="when", inputs={"text": "='12 May 2024'"})
    assert request.workflow is not None
    assert not isinstance(request.workflow, str)
    workflow = request.workflow.evolve(steps=(step, *request.workflow.steps), tools=(tool,), output="s0")
    return request.evolve(workflow=workflow)


def tools_settings(deployment: Deployment) -> Settings:
    assert isinstance(deployment.redis, GuardedRedis)
    url = deployment.redis.url_of("tools")
    return Settings(redis_url=url, signing_key=key_of("tools"), _env_file=None)  # type: ignore[call-arg]


def ended(job: str) -> JobState:
    return list(api.watch(job))[-1].state


def refused(deployment: Deployment) -> list[str]:
    assert isinstance(deployment.redis, GuardedRedis)
    log = deployment.redis.watcher.execute_command("ACL", "LOG")
    return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


def test_a_job_of_models_and_tools_needs_no_more(deployment):
    job = api.submit(request_of(deployment), list(workload.items(60, of="rights")))
    assert ended(job) is JobState.DONE
    assert api.status(job).settled == 60
    assert len(api.engine().app.control.ping(timeout=2)) == 3
    assert refused(deployment) == []


@pytest.mark.parametrize(
    "command",
    [
        ("LRANGE", "firstline.orchestrator", "0", "-1"),
        ("LRANGE", "firstline.cheap", "0", "-1"),
        ("LPUSH", "firstline.cheap", "{}"),
        ("HGETALL", "firstline.unacked.cheap"),
        ("HSET", "firstline:budget:job.x", "spent", "0"),
        ("GET", "firstline:cache:x"),
        ("DEL", "firstline:cooldown:openai/cheap"),
        ("SET", "firstline:leader", "me"),
        ("PUBLISH", "firstline./0.firstline.control.pidbox", "{}"),
        ("SCAN", "0"),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("MONITOR",),
        ("FLUSHALL",),
    ],
    ids=" ".join,
)
def test_the_tools_worker_may_neither_read_nor_change_what_is_not_its_own(deployment, command):
    client = redis.Redis.from_url(deployment.redis.url_of("tools"))
    with pytest.raises(NoPermissionError):
        client.execute_command(*command)


def test_what_the_tools_worker_sends_starts_nothing(deployment):
    own = tools_settings(deployment)
    app = make_app(own)
    for task, arguments in (
        ("firstline.submit", ({"goal": "spend it all"}, [])),
        ("firstline.start", ("x",)),
        ("firstline.judge", ("{}",)),
    ):
        app.send_task(task, args=arguments, queue=queue(own, ORCHESTRATOR), ignore_result=True)
    before = len(api.jobs())
    job = api.submit(request_of(deployment), list(workload.items(5, of="after")))
    assert ended(job) is JobState.DONE
    assert len(api.jobs()) == before + 1
    log = (deployment.folder / "orchestrator-0.log").read_text("utf-8")
    assert log.count("broker.foreign_message") == 2
    assert "trail.unreadable" in log
