"""Reads a large JSON body in a process of its own, so that nothing else waits for it; standard library alone.

    python -I -S body_process.py ROOM ITEMS FIELD < BODY

Its memory is bounded by ROOM bytes. A list of objects in FIELD is written to the file ITEMS, a line each; what is left
is told on the output, marshalled: `json_body._told`.
"""

import json
import marshal
import re
import sys
from contextlib import suppress
from typing import Any

#: Seconds of CPU.
_CPU_S = 30
#: Lists and objects, and commas, of a body: each value takes many times its text's memory. And values of what is told:
#: who reads it lets nobody else work meanwhile.
MOST_CONTAINERS, MOST_COMMAS, MOST_TOLD = 1_000_000, 2_000_000, 100_000
DEEP = "it is nested too deep"
#: Members of a list that are told by their place.
_TOLD = 20
#: Half a surrogate pair, once pairs are characters.
_HALF = re.compile("[\ud800-\udfff]")


def flaw_of(value: object) -> str | None:
    """Return where a body holds half a character or a NUL, which no database takes; its `items` fail by themselves."""
    if isinstance(value, dict):
        value = {name: part for name, part in value.items() if name != "items"}
    where = broken(value, "body")
    return where and f"{where}: expected text, got half a character or a NUL in it"


def broken(value: object, at: str) -> str | None:
    """Return the first place with half a character or a NUL."""
    left = [(value, at)]
    while left:
        one, where = left.pop()
        if isinstance(one, str):
            if "\0" in one or _HALF.search(one):
                return where
        elif isinstance(one, dict):
            for name, part in reversed(one.items()):
                left += [(part, f"{where}.{name}"), (name, f"{where}: a name")]
        elif isinstance(one, list):
            left += [(part, f"{where}[{n}]") for n, part in reversed(list(enumerate(one)))]
    return None


def read(raw: bytes, items: str, field: str) -> dict[str, Any]:
    """Return what a body holds, or why it is not read; OSError where its items cannot be written."""
    if raw.count(b"[") + raw.count(b"{") > MOST_CONTAINERS or raw.count(b",") > MOST_COMMAS:
        return {"much": f"more than {MOST_CONTAINERS:,} lists and objects, or {MOST_COMMAS:,} values"}
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        return {"wrong": (error.msg, error.pos)}
    except RecursionError:
        return {"unread": DEEP}
    except ValueError as error:
        return {"unread": str(error)[:200]}
    told: dict[str, Any] = {"flaw": flaw_of(value)}
    given = value.get(field) if isinstance(value, dict) else None
    if isinstance(given, list):
        strangers = [(n, one) for n, one in enumerate(given) if not isinstance(one, dict)]
        value[field] = []
        told |= {"count": len(given), "strangers": [(n, _brief(one)) for n, one in strangers[:_TOLD]]}
        # Half a character is written as an escape: its item fails, not the request.
        with open(items, "w", encoding="ascii") as file:
            file.writelines(f"{json.dumps(one)}\n" for one in given)
    if _values(value) > MOST_TOLD:
        return {"much": f"more than {MOST_TOLD:,} values beside its items"}
    return {**told, "value": value}


def _brief(value: object) -> object:
    return value[:200] if isinstance(value, str) else [] if isinstance(value, list) else value


def _values(value: object) -> int:
    count, left = 0, [value]
    while left:
        one = left.pop()
        count += 1
        if isinstance(one, dict | list):
            left += one.values() if isinstance(one, dict) else one
    return count


def _wall(room: int) -> None:
    """Bound this process; where memory is short, it is the first to go."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
        resource.setrlimit(resource.RLIMIT_AS, (room, room))


def _main(room: int, items: str, field: str) -> None:
    _wall(room)
    try:
        told = read(sys.stdin.buffer.read(), items, field)
    except MemoryError:
        told = {"much": f"what takes more than {room / 1e6:,.0f} MB to read"}
    except RecursionError:
        told = {"unread": DEEP}
    except OSError as error:
        told = {"unwritten": error.strerror}
    sys.stdout.buffer.write(marshal.dumps(told))


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
