"""Redis as others give it out: to a user who may touch one prefix of one database, watched by Sentinels."""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote

import redis

from tests.servers import RedisServer

#: Seconds after which Sentinels take a silent master for dead.
DOWN_S = 1.0
MASTER = "jobs"
PASSWORD = "p@ss/word:1"


@dataclass
class ManagedRedis(RedisServer):
    """A Redis whose user `tenant` may touch keys and channels of one prefix, and nothing that is dangerous."""

    prefix: str = "tenant42"
    database: int = 3
    #: That of `tenant`.
    password: str = PASSWORD

    @property
    def admin(self) -> redis.Redis:
        """A client that may do everything."""
        return redis.Redis(port=self.port, decode_responses=True)

    @property
    def admin_of_database(self) -> redis.Redis:
        """The same, in the database that users are given."""
        return redis.Redis(port=self.port, decode_responses=True, db=self.database)

    def start(self) -> None:
        super().start()
        self.add("tenant", self.prefix)

    def add(self, user: str, prefix: str) -> None:
        """Have a user that is bound to a prefix."""
        rules = (f"~{prefix}:*", f"&{prefix}:*", "+@all", "-@admin", "-@dangerous")
        self.admin.execute_command("ACL", "SETUSER", user, "reset", "on", f">{self.password}", *rules)

    @property
    def url(self) -> str:
        return self.url_of("tenant")

    def url_of(self, user: str) -> str:
        """A user's URL."""
        return f"redis://{user}:{self.quoted(self.password)}@127.0.0.1:{self.port}/{self.database}"

    @staticmethod
    def quoted(password: str) -> str:
        """A password as it stands in a URL; ours has signs that are written otherwise there."""
        return quote(password, safe="")

    @property
    def refused(self) -> list[str]:
        """What it refused its users, as it logs it."""
        return [
            f"{one['username']}: {one['reason']} {one['object']}" for one in self.admin.execute_command("ACL", "LOG")
        ]


@dataclass
class WatchedRedis(RedisServer):
    """A master with a replica, and three Sentinels that watch it; `kill` ends all of them."""

    servers: tuple[RedisServer, ...] = field(init=False)
    sentinels: tuple[RedisServer, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.servers = tuple(RedisServer(self.folder / f"server-{n}", self.binary) for n in range(2))
        self.sentinels = tuple(_Sentinel(self.folder / f"sentinel-{n}", self.binary) for n in range(3))

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"sentinel://{hosts}/0?master={MASTER}"

    def start(self) -> None:
        for server in self.servers:
            server.start()
        with redis.Redis(port=self.servers[1].port) as client:
            client.replicaof("127.0.0.1", str(self.servers[0].port))
        for sentinel in self.sentinels:
            self._tell_whom_to_watch(sentinel)
            sentinel.start()
        self.wait_until_in_step()
        deadline = time.monotonic() + 30
        while not all(self._knows_all(one) for one in self.sentinels):
            assert time.monotonic() < deadline, "the Sentinels did not find each other and the replica"
            time.sleep(0.1)

    def _tell_whom_to_watch(self, sentinel: RedisServer) -> None:
        lines = (
            f"sentinel monitor {MASTER} 127.0.0.1 {self.servers[0].port} 2",
            f"sentinel down-after-milliseconds {MASTER} {int(DOWN_S * 1000)}",
            f"sentinel failover-timeout {MASTER} 5000",
        )
        sentinel.folder.mkdir(parents=True, exist_ok=True)
        (sentinel.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    @staticmethod
    def _knows_all(sentinel: RedisServer) -> bool:
        with redis.Redis(port=sentinel.port) as client:
            state = client.sentinel_master(MASTER)
        return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 1)

    def wait_until_in_step(self) -> None:
        """Wait until the replica has heard all of its master."""
        master = self.master_port
        follower = next(one for one in self.servers if one.port != master)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(redis.RedisError), redis.Redis(port=follower.port) as client:
                if client.info("replication").get("master_link_status") == "up":
                    return
            time.sleep(0.1)
        raise TimeoutError("the replica did not reach its master")

    @property
    def master_port(self) -> int | None:
        """Port of the server that Sentinels name now."""
        for sentinel in self.sentinels:
            with suppress(redis.RedisError), redis.Redis(port=sentinel.port) as client:
                found = client.sentinel_get_master_addr_by_name(MASTER)
                return int(found[1]) if found else None
        return None

    def kill_master(self) -> int:
        """Kill the master; return the port that it had."""
        port = self.master_port
        next(one for one in self.servers if one.port == port).kill()
        assert port is not None
        return port

    def revive(self) -> None:
        """Start the server that is not there again: Sentinels make it a replica of the other."""
        for server in self.servers:
            if server.is_ended:
                server.start()

    def kill(self) -> None:
        for one in (*self.sentinels, *self.servers):
            one.kill()


class _Sentinel(RedisServer):
    def _command(self) -> list[str]:
        file = str(self.folder / "sentinel.conf")
        return [self.binary, file, "--sentinel", "--port", str(self.port), "--dir", str(self.folder)]
