"""Rows of Parquet and Arrow files, read by a process of its own: a small file may unpack to more than memory holds."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from firstline.orchestrator.submission.encodings import Encoding
from firstline.orchestrator.submission.record import MAX_ITEM_BYTES, Record, as_record, too_long
from firstline.orchestrator.submission.table_items import as_json, missing
from firstline.schemas.errors import UserError

#: Bytes that reading may take beside the libraries, and seconds of CPU.
_ROOM, _CPU_S = 600_000_000, 3600
#: Bytes of all rows at most, or so many times the file's own; each row counts as so many more.
MOST_WHOLE, _MOST_TIMES, _ROW_BYTES = 4_000_000_000, 100, 100
#: Rows that are unpacked at once, fewer where they are long, and bytes of a column that are read at once: without it a
#: whole row group is, and some files are one.
_ROWS_AT_ONCE, _BATCH_BYTES, _BUFFER = 500, 32_000_000, 1 << 20
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
#: What a row is told as.
_ROW, _FAULT, _LONG, _REFUSED, _END = "row", "fault", "long", "refused", "end"


def parquet_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield the rows of a Parquet file, a few at a time."""
    return _of_file(stream, "Parquet", name)


def arrow_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield the rows of an Arrow file (Feather)."""
    return _of_file(stream, "Arrow", name)


def _of_file(stream: IO[bytes], kind: str, name: str) -> Iterator[Record]:
    """Yield the rows of a file; UserError where it is none of its kind, or unpacks to more than is held of one."""
    if find_spec("pyarrow") is None:
        raise missing("pyarrow", name)
    most = max(MOST_WHOLE, _MOST_TIMES * os.fstat(stream.fileno()).st_size)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, kind, str(_ROOM)],
        stdin=stream,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as child:
        try:
            assert child.stdout is not None
            yield from _records(child.stdout, kind, name, most)
        finally:
            child.kill()


def _environment() -> dict[str, str]:
    """Return what the process sees: no key of a provider's, and one heap that grows as it is used."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    ours = Path(str(sys.modules[__name__.partition(".")[0]].__file__)).parents[1]
    paths = [str(ours), *filter(None, sys.path)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
    }


def _records(told: IO[bytes], kind: str, name: str, most: int) -> Iterator[Record]:
    held = 0
    for number, line in enumerate(told, 1):
        held += len(line) + _ROW_BYTES
        if held > most:
            raise UserError(f"{name} holds more than {most / 1e6:,.0f} MB in its rows unpacked; send it in parts")
        word, said = json.loads(line)
        place = f"row {number}"
        if word == _END:
            return
        if word == _REFUSED:
            raise UserError(f"{name} {said}")
        if word == _ROW:
            yield as_record(place, said)
        else:
            yield Record(place, {}, f"{place} holds {said}" if word == _FAULT else too_long(said))
    raise UserError(
        f"{name} takes more than {_ROOM / 1e6:,.0f} MB of memory to read, or is no whole {kind} file; write it anew "
        "with smaller row groups and pages, or as CSV"
    )


_encode = json.JSONEncoder(ensure_ascii=False).encode


# The process -------------------------------------------------------------------------------------------------------


def _main(kind: str, room: int) -> None:
    read = _KINDS[kind]
    with os.fdopen(os.dup(0), "rb") as file, os.fdopen(os.dup(1), "wb") as out:
        try:
            for batch in read(file, room):
                out.writelines(_lines(batch))
            out.write(_line(_END, "null"))
        except MemoryError:
            # Without the word of an end the file counts as too large.
            pass
        except Exception as error:
            out.write(_line(_REFUSED, json.dumps(f"is no whole {kind} file ({str(error)[:200]})")))
    os._exit(0)


def _line(word: str, said: str) -> bytes:
    return f'["{word}", {said}]\n'.encode()


def _lines(batch: Any) -> Iterator[bytes]:
    names, columns = batch.schema.names, batch.columns
    for place in range(batch.num_rows):
        try:
            row = {name: as_json(column[place].as_py()) for name, column in zip(names, columns, strict=True)}
            line = _line(_ROW, _encode(row))
        except (ValueError, RecursionError) as error:
            yield _line(_FAULT, json.dumps(str(error)[:200]))
            continue
        yield line if len(line) <= MAX_ITEM_BYTES + _ROW_BYTES else _line(_LONG, str(len(line)))


def _parquet(file: IO[bytes], room: int) -> Iterator[Any]:
    parquet = import_module("pyarrow.parquet")
    _wall(room)
    found = parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
    told = found.metadata
    size = sum(told.row_group(number).total_byte_size for number in range(told.num_row_groups))
    rows = max(1, min(_ROWS_AT_ONCE, _BATCH_BYTES * told.num_rows // max(1, size)))
    yield from found.iter_batches(batch_size=rows, use_threads=False)


def _arrow(file: IO[bytes], room: int) -> Iterator[Any]:
    ipc = import_module("pyarrow.ipc")
    _wall(room)
    found = ipc.open_file(file)
    yield from (found.get_batch(number) for number in range(found.num_record_batches))


_KINDS: dict[str, Callable[[IO[bytes], int], Iterator[Any]]] = {"Parquet": _parquet, "Arrow": _arrow}


def _wall(room: int) -> None:
    """Let this process have so much more memory than it has now; where memory is short, it is the first to go."""
    arrow = import_module("pyarrow")
    arrow.set_cpu_count(1)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
