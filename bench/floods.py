"""The floods of `bench.abuse`, from a process of their own: what a client takes to make them is not the product's.

    echo TOKEN | python -m bench.floods KIND URL CONNECTIONS

Floods until its input ends; then prints how many rounds it made, and the seconds of CPU that it took.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import httpx

Flood = Callable[[httpx.Client, int], None]


def _skill(**output: object) -> dict[str, object]:
    return {"name": "hostile", "instructions": "x", "input": {"text": {}}, "output": output}


def _workflow(skill: dict[str, object]) -> dict[str, object]:
    return {"name": "hostile", "steps": [{"name": "s", "skill": "hostile"}], "skills": [skill]}


def _bomb(depth: int) -> dict[str, object]:
    """Return a schema that doubles with each reference."""
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{depth}": {"type": "object"}}}


_SCHEMAS: tuple[dict[str, object], ...] = (
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
    _bomb(30),
    {"type": "object", "properties": {"a": {"enum": list(range(20_000))}}},
    {"type": "object", "properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x"}}},
)


@cache
def _lines() -> str:
    return "".join(f'{{"text": "flood {line}"}}\n' for line in range(20_000))


@cache
def _deep() -> tuple[str, ...]:
    values = ("[" * 100_000 + "]" * 100_000, "9" * 1_000_000, '{"a":' * 5_000 + "1" + "}" * 5_000)
    return tuple(f'{{"workflow": "sort_ticket", "items": [{{"text": {value}}}]}}' for value in values)


@cache
def _wide() -> tuple[tuple[str, str], tuple[str, str]]:
    columns = ",".join(f"c{column}" for column in range(100_000))
    array = json.dumps([{"text": "x" * 1_000} for _ in range(20_000)])
    return ("x.csv", f"{columns}\n{columns}\n"), ("x.json", array)


def many_jobs(client: httpx.Client, n: int) -> None:
    """Submit jobs as fast as the token may."""
    client.post("/v1/jobs", json={"workflow": "sort_ticket", "items": [{"text": f"flood {n}"}]})


def large_jobs(client: httpx.Client, n: int) -> None:
    """Upload files of 20,000 items."""
    lines = _lines()
    client.post("/v1/jobs/upload", data={"workflow": "sort_ticket"}, files={"file": ("x.jsonl", lines)})


@cache
def _body() -> str:
    items = [{"id": str(n), "text": "x" * 600, "tags": ["a", "b"]} for n in range(20_000)]
    # Nothing is written: it is read, and refused.
    return json.dumps({"workflow": "none-such", "items": items})


def large_bodies(client: httpx.Client, n: int) -> None:
    """Send requests of 13 MB of JSON."""
    client.post("/v1/jobs", content=_body(), headers={"content-type": "application/json"})


def hostile_schemas(client: httpx.Client, n: int) -> None:
    """Bring schemas that take long to compile or to check."""
    items = [{"text": "a" * 40 + "!"}]
    client.post("/v1/jobs", json={"workflow": _workflow(_skill(**_SCHEMAS[n % len(_SCHEMAS)])), "items": items})


def deep_bodies(client: httpx.Client, n: int) -> None:
    """Send JSON that is nested, or counts, beyond reason."""
    bodies = _deep()
    client.post("/v1/jobs", content=bodies[n % len(bodies)], headers={"content-type": "application/json"})


def wide_tables(client: httpx.Client, n: int) -> None:
    """Upload a table of 100,000 columns, and an array of one line of 20 MB."""
    client.post("/v1/jobs/upload", data={"workflow": "sort_ticket"}, files={"file": _wide()[n % 2]})


def streams(client: httpx.Client, n: int) -> None:
    """Open streams of a job and leave them open."""
    job = client.post("/v1/jobs", json={"workflow": "tricky", "items": [{"text": f"stream {n}"}]}).json().get("job")
    with suppress(httpx.HTTPError), client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        next(stream.iter_bytes(), None)
        time.sleep(1)


def chats(client: httpx.Client, n: int) -> None:
    """Wait for answers, each on a connection of its own."""
    said = [{"role": "user", "content": f"flood {n}"}]
    client.post("/v1/chat/completions", json={"model": "firstline/sort_ticket", "messages": said})


def strangers(client: httpx.Client, n: int) -> None:
    """Ask, and upload, with tokens that are none."""
    asked = {"authorization": f"Bearer fl_{n}"}
    client.get("/v1/jobs", headers=asked)
    client.post("/v1/jobs/upload", headers=asked, files={"file": ("x.csv", b"x" * 1_000_000)})


FLOODS: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (
        many_jobs,
        large_jobs,
        large_bodies,
        hostile_schemas,
        deep_bodies,
        wide_tables,
        streams,
        chats,
        strangers,
    )
}


def main(kind: str, url: str, connections: int) -> None:
    """Flood from so many connections until the input ends."""
    token, over, rounds = sys.stdin.readline().strip(), threading.Event(), list[int]()

    def run(number: int) -> None:
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
            n = number
            while not over.is_set():
                n += connections
                with suppress(httpx.HTTPError):
                    FLOODS[kind](client, n)
                    rounds.append(n)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(connections)]
    for thread in threads:
        thread.start()
    print("flooding", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join(timeout=5)
    print(json.dumps([len(rounds), time.process_time()]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
