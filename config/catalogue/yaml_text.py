"""Values as YAML text that reads back as the same value: multi-line texts as blocks, nothing that is a default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.schemas.base import Frozen


class _Dumper(yaml.SafeDumper):
    """Quotes whatever our reader, which follows YAML 1.2, would not take for a text."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    if "\n" in text and not any(line.endswith((" ", "\t")) for line in text.split("\n")):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    plain = bool(text) and text.replace("_", "").replace("-", "").isalpha() and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain or " " in text else '"')


_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_Dumper.add_representer(str, _text)


def as_yaml(value: Frozen) -> str:
    """Return a value as YAML; fields that have their default are left out."""
    return mapping_as_yaml(value.model_dump(mode="json", exclude_defaults=True))


def mapping_as_yaml(data: Mapping[str, Any]) -> str:
    """Return a mapping as YAML; AssertionError where our reader would not read the same back."""
    text = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    assert parse_yaml(text.encode(), Path("text.yaml")).data == data
    return text
