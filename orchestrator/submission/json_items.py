"""Items as JSON: one object a line, or an array that is read element by element."""

import codecs
import json
from collections.abc import Iterator
from typing import IO, NoReturn

from firstline.orchestrator.submission.encodings import UTF_8, Encoding
from firstline.orchestrator.submission.record import MAX_ITEM_BYTES, Record, as_record, too_long
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_text import same

_CHUNK = 1 << 18


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value; expected a number or null")


def _each_once(pairs: list[tuple[str, Json]]) -> JsonObject:
    value = dict(pairs)
    if len(value) < len(pairs):
        for name, one in pairs:
            if not same(one, value[name]):
                raise ValueError(f"'{name}' stands twice with different values; keep one")
    return value


#: Built once: `json.loads` with options builds its own at every call.
_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_each_once)
#: Finds where a value ends that is not to be taken.
_LENIENT = json.JSONDecoder(parse_int=str)


def jsonl_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield one record a line; a line that is no object, or not in the file's encoding, fails alone.

    JSON is UTF-8 (RFC 8259): another encoding is taken only where the file has its mark.
    """
    if encoding.name != UTF_8 and (encoding.mark or not encoding.guessed or encoding.name.startswith("utf-16")):
        stream = _as_utf_8(stream, encoding)
    else:
        stream.seek(encoding.mark)
    for number, (raw, size) in enumerate(_raw_lines(stream), 1):
        place = f"line {number}"
        if size > MAX_ITEM_BYTES:
            yield Record(place, {}, too_long(size))
        elif raw.strip():
            yield _parsed(place, raw, size)


def array_records(stream: IO[bytes], name: str, encoding: Encoding, notes: list[str]) -> Iterator[Record]:
    """Yield the elements of a JSON array as they are read; UserError where its text breaks off or is malformed."""
    stream.seek(encoding.mark)
    yield from _elements(_Text(stream, encoding, name), name)


def _as_utf_8(stream: IO[bytes], encoding: Encoding) -> IO[bytes]:
    stream.seek(encoding.mark)
    return codecs.EncodedFile(stream, UTF_8, encoding.name, errors="surrogatepass")


def _raw_lines(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield each line and its length in bytes; a line too long for an item is cut, its rest passed over in pieces."""
    while raw := stream.readline(MAX_ITEM_BYTES + 1):
        size, piece = len(raw), raw
        while len(piece) > MAX_ITEM_BYTES and not piece.endswith(b"\n"):
            piece = stream.readline(MAX_ITEM_BYTES + 1)
            size += len(piece)
        yield raw, size


def _parsed(place: str, raw: bytes, size: int) -> Record:
    try:
        return as_record(place, _DECODER.decode(raw.decode().strip()), size=size)
    except UnicodeDecodeError as error:
        return Record(
            place, {}, f"{place} is not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start}); save it as UTF-8"
        )
    except RecursionError:
        return Record(place, {}, f"{place} is nested too deeply")
    except ValueError as error:
        return Record(place, {}, f"{place} is not valid JSON: {_why(error)}")


def _why(error: ValueError) -> str:
    """Return what is wrong; Python's own words on a number that is too long speak of its settings."""
    return "a number has too many digits" if "integer string conversion" in str(error) else str(error)


class _Text:
    """The text of a stream, of which a part is held: from `at` on it is still to be read."""

    def __init__(self, stream: IO[bytes], encoding: Encoding, name: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding.name)()
        self._encoding = encoding
        self._name = name
        self.held = ""
        self.at = 0
        self.ended = False

    def more(self, chars: int = _CHUNK) -> None:
        """Read on, and forget what has been read."""
        raw = self._stream.read(chars)
        self.ended = not raw
        try:
            read = self._decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self._name} is not {self._encoding.name.upper()} (byte 0x{error.object[error.start]:02x}); save it "
                "as UTF-8, or write one item a line, of which a bad one fails alone"
            ) from None
        self.held, self.at = self.held[self.at :] + read, 0

    def skip_space(self) -> str:
        """Return the next character that is no space, without taking it; empty at the end."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.held) or self.ended:
                return self.held[self.at : self.at + 1]
            self.more()


def _elements(text: _Text, name: str) -> Iterator[Record]:
    """Yield the elements of an array; one that holds what JSON does not have fails alone."""
    text.skip_space()
    text.at += 1
    number, following = 0, text.skip_space()
    if following == "]":
        text.at += 1
    while following != "]":
        number += 1
        yield _element(text, number, name)
        following = text.skip_space()
        if following not in (",", "]") or not following:
            raise _broken(name, number, f"expected a comma or the end of the array after it, got {following!r}")
        text.at += 1
        if following == "," and text.skip_space() == "]":
            raise _broken(name, number, "a comma follows it, and then the array ends; take the comma away")
    if text.skip_space():
        raise _broken(name, number, "something follows the end of the array")


def _element(text: _Text, number: int, name: str) -> Record:
    wanted, place = _CHUNK, f"element {number}"
    while True:
        try:
            value, end, wrong = *_DECODER.raw_decode(text.held, text.at), ""
        except RecursionError:
            raise _broken(name, number, "it is nested too deeply") from None
        except json.JSONDecodeError as error:
            # It may only break off where what was read so far ends.
            if text.ended or len(text.held) - text.at > MAX_ITEM_BYTES:
                raise _broken(name, number, _reason(error, text)) from None
            end = len(text.held)
        except ValueError as error:
            value, end, wrong = *_lenient(text), _why(error)
        if end < len(text.held) or text.ended:
            size, text.at = end - text.at, end
            return (
                Record(place, {}, f"{place} is not valid JSON: {wrong}")
                if wrong
                else as_record(place, value, size=size)
            )
        text.more(wanted)
        wanted *= 2


def _lenient(text: _Text) -> tuple[Json, int]:
    """Return a value that holds what JSON does not have, and where it ends; as far as was read if it goes on."""
    try:
        value, end = _LENIENT.raw_decode(text.held, text.at)
    except ValueError:
        return None, len(text.held)
    return value, end


def _reason(error: json.JSONDecodeError, text: _Text) -> str:
    found = text.held[error.pos : error.pos + 30]
    return f"{error.msg[0].lower()}{error.msg[1:]}, got {found!r}" if found else "the text breaks off in it"


def _broken(name: str, number: int, why: str) -> UserError:
    return UserError(
        f"{name} is not a valid JSON array: element {number}: {why}; mend it, or write one item a line (JSONL), of "
        "which a bad one fails alone"
    )
