"""What tables that are no text have in common: their cells as JSON, their libraries; and what is packed, unpacked."""

import bz2
import gzip
import importlib
import lzma
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, time, timedelta
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, cast
from uuid import UUID

from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_bounds import MAX_DIGITS

_PIECE = 1 << 20
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
#: Endings of files that are packed.
PACKED_ENDINGS = (".gz", ".bz2", ".xz")


@contextmanager
def unpacked(stream: IO[bytes], name: str, *, most_bytes: float = math.inf) -> Iterator[IO[bytes]]:
    """Yield what a seekable stream holds: unpacked to a temporary file where it is compressed.

    UserError where that is no whole packed file, or has more than `most_bytes` unpacked.
    """
    head = stream.read(8)
    stream.seek(0)
    opener = next((opener for mark, opener in _PACKED.items() if head.startswith(mark)), None)
    if opener is None:
        yield stream
        return
    with TemporaryFile(prefix="firstline-") as plain:
        try:
            with cast("Any", opener)(stream, "rb") as packed:
                while piece := packed.read(_PIECE):
                    if plain.tell() + len(piece) > most_bytes:
                        raise UserError(f"{name} is larger than {most_bytes / 1e6:g} MB unpacked; send it in parts")
                    plain.write(piece)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise UserError(f"{name} cannot be unpacked ({error}); it may be cut off: fetch it again") from None
        plain.seek(0)
        yield cast("IO[bytes]", plain)


def as_json(value: Any) -> Json:
    """Return a cell as JSON: dates in ISO 8601, decimals as numbers; ValueError for what JSON cannot say."""
    match value:
        case float() if math.isnan(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(name): as_json(part) for name, part in value.items()}
        case list() | tuple():
            return [as_json(part) for part in value]
    convert = next((convert for kind, convert in _AS_JSON.items() if isinstance(value, kind)), None)
    if convert is None:
        raise ValueError(f"a value of kind {type(value).__name__}, which JSON cannot say")
    return convert(value)


def _number(value: Decimal) -> Json:
    if not value.is_finite() or value.adjusted() > MAX_DIGITS:
        # No item is taken with it, and its digits are not written out before that is said.
        return math.nan if value.is_nan() else math.inf
    return int(value) if value == value.to_integral_value() else float(value)


_AS_JSON: dict[type, Callable[[Any], Json]] = {
    Decimal: _number,
    UUID: str,
    date: lambda value: value.isoformat(),
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
}


def library(module: str, name: str) -> Any:
    """Return a module that a file needs; UserError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise missing(module, name) from None


def missing(module: str, name: str) -> UserError:
    """Return what is said where a file needs what is not installed."""
    needs = module.partition(".")[0]
    return UserError(f"{name} needs {needs}, which is not installed: pip install 'firstline[tables]'")
