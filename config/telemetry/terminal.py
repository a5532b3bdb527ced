"""What a terminal is shown: texts of strangers may be in it, and none of their characters may command it."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
#: What has a line read otherwise than it stands there, too: what turns it shows as unreadable, marks of direction go.
_SHOWN = (
    _PICTURES
    | dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
    | dict.fromkeys((0x200E, 0x200F, 0x061C))
)
#: It has a terminal write over what stands in the line.
_LONE_RETURN = re.compile(r"\r(?!\n)")


def pictured(text: str) -> str:
    """Return a text with pictures (U+2400) in place of its control characters."""
    return text.translate(_PICTURES)


def shown(text: str) -> str:
    """Return a text as a terminal may have it: without control characters but for tabs and ends of lines."""
    return _LONE_RETURN.sub("\u240d", text.translate(_SHOWN))


class _Terminal:
    """A stream to a terminal that obeys nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        #: What rich writes goes there as it is: its consoles picture the texts that they are given.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(shown, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def obeying_nothing() -> Iterator[None]:
    """Have the terminals among standard output and standard error obey nothing; files and pipes get all as it is."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Terminal(one)) if one.isatty() else one for one in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
