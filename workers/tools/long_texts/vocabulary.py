"""How many tokens a text has for a model: by its own vocabulary where that is on this machine."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from firstline.schemas.errors import UserError

Counter = Callable[[Sequence[str]], list[int]]

#: A word in a model's name -> the vocabulary that litellm brings for it.
_FILES = {"claude": "anthropic_tokenizer.json", "deepseek": "deepseek_tokenizer.json"}
#: OpenAI's vocabularies that litellm brings; the first stands in for models whose own is unknown: Qwen's and Llama 3's
#: extend it.
_ENCODINGS = ("cl100k_base", "o200k_base")


@lru_cache(maxsize=8)
def counter_of(model: str, file: str) -> Counter:
    """Return what counts the tokens of texts for a model, or by a `tokenizer.json`; nothing is fetched."""
    if file:
        return _by_file(Path(file))
    for word, name in _FILES.items():
        if word in model.lower():
            return _by_file(_brought() / name)
    return _by_encoding(model)


def _brought() -> Path:
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"


def _by_file(path: Path) -> Counter:
    from tokenizers import Tokenizer

    if not path.is_file():
        raise UserError(f"tokenizer: there is no file {path}; expected a model's tokenizer.json")
    try:
        known = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"tokenizer: {path} is no tokenizer.json that can be read: {str(error)[:200]}") from None
    return lambda texts: [len(one.ids) for one in known.encode_batch_fast(list(texts), add_special_tokens=False)]


def _by_encoding(model: str) -> Counter:
    import tiktoken

    # Left to itself it would fetch what litellm has here.
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(_brought()))
    try:
        name = tiktoken.encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        name = _ENCODINGS[0]
    known = tiktoken.get_encoding(name if name in _ENCODINGS else _ENCODINGS[0])
    return lambda texts: [len(one) for one in known.encode_ordinary_batch(list(texts), num_threads=1)]
