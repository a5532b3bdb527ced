"""Lines of JSON in files: split where a line ends and nowhere else, each read by itself."""

import json
import logging
from collections.abc import Iterator

from firstline.schemas.base import JsonObject

_log = logging.getLogger(__name__)


def read_lines(content: bytes) -> Iterator[JsonObject]:
    r"""Yield the objects of a file of JSON Lines; what is none is left out, and told to the log.

    Lines end with `\n` alone: `str.splitlines` would cut at U+2028 and six others, which stand in answers as they are.
    """
    for number, raw in enumerate(_each(content), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            _log.warning("provider_batch.line_unreadable", extra={"line": number, "error": f"{error}"[:200]})
            continue
        if isinstance(line, dict):
            yield line


def _each(content: bytes) -> Iterator[bytes]:
    """Yield one line after the other: all of them at once would be the file once more."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end]
        start = end + 1


def write_lines(objects: Iterator[JsonObject]) -> bytes:
    """Return a file of JSON Lines."""
    return b"".join(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n" for line in objects)
