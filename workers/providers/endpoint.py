"""Under which name what is known of a model is shared: the model, its base URL and its key."""

from functools import cache

from firstline.schemas.base import digest
from firstline.schemas.tier import Model


def endpoint(model: Model) -> str:
    """Return the name; limits and cool-downs belong to it, so that two keys of one model do not share them."""
    return _name(model.name, model.api_base, model.api_key_env)


@cache
def _name(name: str, base: str | None, key: str | None) -> str:
    return name if base is key is None else f"{name}@{digest([base, key], length=8)}"
