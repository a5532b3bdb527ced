"""The encoding of a text file: by its mark, else UTF-8 where it is, else a guess that is told."""

import codecs
import re
from collections.abc import Iterable
from itertools import islice
from typing import IO, NamedTuple
from unicodedata import combining

from charset_normalizer import from_bytes

from firstline.schemas.errors import UserError

UTF_8 = "utf-8"
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 20
#: Lines with other bytes than ASCII's that are looked at.
_LINES = 20_000
#: Share of common characters from which on an encoding is taken.
_SURE = 0.9
#: Bytes of such lines that a guess rests on.
_SAMPLE = 200_000
#: Bytes that no text has, but for tabs, line and page ends, and the escapes of Japanese mail.
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_WESTERN = "windows-1252"
#: Names that people know for what Python calls otherwise.
_KNOWN_AS = {"cp1252": _WESTERN, "cp1250": "windows-1250", "cp1251": "windows-1251", "cp932": "Shift-JIS"}


class Encoding(NamedTuple):
    """How the bytes of a file are to be read."""

    name: str
    #: Bytes of its mark, which are no text.
    mark: int = 0
    #: Nothing but its bytes speaks for it.
    guessed: bool = False

    @property
    def note(self) -> str | None:
        """What is worth saying of it: nothing where it is UTF-8."""
        if self.name == UTF_8:
            return None
        known = _KNOWN_AS.get(self.name, self.name)
        return f"read as {known}" + (" (a guess: the file is not UTF-8; save it as UTF-8 to be sure)" * self.guessed)


def encoding_of(stream: IO[bytes]) -> Encoding:
    """Return the encoding of a seekable stream, which is then at its beginning again."""
    head = stream.read(4096)
    stream.seek(0)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name, len(mark))
    if wide := _wide(head):
        return Encoding(wide, guessed=True)
    found = Encoding(UTF_8) if _is_utf_8(stream) else _legacy(stream)
    stream.seek(0)
    return found


def known_encoding(name: str) -> Encoding:
    """Return an encoding by the name that a person gave; UserError when there is none."""
    try:
        return Encoding(codecs.lookup(name).name)
    except LookupError:
        raise UserError(f"there is no encoding '{name}'; such as utf-8, windows-1252, utf-16 or shift-jis") from None


def _wide(head: bytes) -> str | None:
    """Return UTF-16 where every other byte is NUL: text of Latin letters without a mark."""
    half = len(head) // 2
    if half < 8:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    return "utf-16-le" if odd > half * 0.7 > even * 7 else "utf-16-be" if even > half * 0.7 > odd * 7 else None


def _is_utf_8(stream: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder(UTF_8)()
    try:
        while chunk := stream.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _legacy(stream: IO[bytes]) -> Encoding:
    """Return UTF-8 where most lines beyond ASCII are UTF-8 (single ones will fail), else the likeliest other one."""
    stream.seek(0)
    lines = list(islice((line for line in iter(lambda: stream.readline(_CHUNK), b"") if not line.isascii()), _LINES))
    good = sum(map(_reads, lines))
    if good and good >= len(lines) - good:
        return Encoding(UTF_8)
    name = _guess(_sample(line for line in lines if not _reads(line)))
    return Encoding(name, guessed=name != UTF_8)


def _reads(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sample(lines: Iterable[bytes]) -> bytes:
    sample = b""
    for line in lines:
        sample += line
        if len(sample) > _SAMPLE:
            break
    return sample


def _guess(sample: bytes) -> str:
    """Return the likeliest encoding: the one in which nearly all characters are its languages' common ones."""
    if _CONTROLS.search(sample):
        return UTF_8  # no text: it is refused as what it is not
    best = max(_LIKELY, key=lambda name: _share_of_common(sample, name))
    if _share_of_common(sample, best) >= _SURE:
        return best
    found = from_bytes(sample).best()
    return found.encoding if found else "cp1252"


def _share_of_common(sample: bytes, name: str) -> float:
    """Return which share of the characters beyond ASCII a language of this encoding uses often, where letters stand."""
    try:
        text = sample.decode(name)
    except UnicodeDecodeError:
        return 0.0
    beyond = [(at, letter) for at, letter in enumerate(text) if not letter.isascii()]
    if not beyond:
        return 0.0
    common, needed = _LIKELY[name], _NEEDED.get(name)
    if needed and sum(1 for _, letter in beyond if needed.match(letter)) < len(beyond) * 0.15:
        return 0.0
    good = sum(1 for at, letter in beyond if common.match(letter) and not _is_odd(text, at))
    return (good - (len(text) - len(beyond)) * 1e-6) / len(beyond)


def _is_odd(text: str, at: int) -> bool:
    """Say whether a sign or another script's letter is within a word, a capital behind a small letter, a mark alone."""
    before, letter, after = text[at - 1 : at], text[at], text[at + 1 : at + 2]
    within = before.isalpha() and after.isalpha()
    mixed = "\u0370" <= letter <= "\u0700" and (_LATIN.match(before) or _LATIN.match(after))
    if combining(letter):
        return not (before.isalpha() or combining(before or " "))
    return bool(mixed) or (within and not letter.isalpha()) or (before.islower() and letter.isupper())


def _common_in(name: str, first: range) -> re.Pattern[str]:
    """Return the pattern of the characters whose first byte in an encoding is in a range."""
    pairs = [bytes((high, low)).decode(name, "ignore") for high in first for low in range(0x40, 0xFF)]
    signs = "\u3000-\u303f\uff01-\uff5e\u2014\u2018-\u201d\u2026"
    return re.compile(f"[{signs}{re.escape(''.join(pair for pair in pairs if len(pair) == 1))}]")


_LATIN = re.compile("[A-Za-z]")
_SIGNS = "€§°\u2013\u2014\u2018-\u201e…«»·©®™\xa0"
#: The characters beyond ASCII that the languages of an encoding use often; the first of equals is taken.
_LIKELY = {
    "cp1252": re.compile(f"[äöüÄÖÜßéèêëÉÈàâÀçÇùûîïôœæÆñÑáíóúÁÍÓÚ¿¡ãõÃåøÅØ£²{_SIGNS}]"),
    "cp1250": re.compile(f"[ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŘŠŤÚŽäöüßőűŐŰăâîşţđĐ{_SIGNS}]"),
    "cp1254": re.compile(f"[şğıçöüŞĞİÇÖÜâîû{_SIGNS}]"),
    "cp932": re.compile("[ぁ-ヿ\u3000-\u303f一-龯\uff01-\uff9f]"),
    "euc_jp": re.compile("[ぁ-ヿ\u3000-\u303f一-龯\uff01-\uff5e]"),
    "cp949": _common_in("euc_kr", range(0xB0, 0xC9)),
    "big5": _common_in("big5", range(0xA4, 0xC7)),
    "gb18030": _common_in("gb2312", range(0xB0, 0xD8)),
    "cp1255": re.compile(f"[א-תְ-ׇ₪{_SIGNS}]"),
    "cp1251": re.compile(f"[а-яёіїєґА-ЯІЇЄҐ№{_SIGNS}]"),
    "koi8_r": re.compile(f"[а-яёА-Я{_SIGNS}]"),
    "cp866": re.compile("[а-яёА-Я№]"),
    "cp1253": re.compile(f"[α-ωά-ώΑ-ΩΆΈ-Ώ{_SIGNS}]"),
    "cp1256": re.compile(f"[ء-ْپچژگ،؛؟{_SIGNS}]"),
    "mac_roman": re.compile(f"[äöüÄÖÜßéèêëÉàâçùûîïôœæñÑáíóúÁ¿¡ãõåøÅØ{_SIGNS}]"),
    "cp850": re.compile("[äöüÄÖÜßéèêëÉàâçùûîïôæñÑáíóú¿¡ãõåøÅ]"),
}
#: What a text in this encoding has at least some of.
_NEEDED = {
    "cp932": re.compile("[ぁ-ヿ]"),
    "euc_jp": re.compile("[ぁ-ヿ]"),
    "koi8_r": re.compile("[а-я]"),
    "cp1251": re.compile("[а-яіїєґ]"),
}
