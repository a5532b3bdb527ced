"""Provider keys by the name of their environment variable; only workers and `doctor` ask, and nobody prints them."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from firstline.schemas.base import Json
from firstline.schemas.errors import UserError
from firstline.schemas.secret_names import reference


def secret(name: str, *, environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> str | None:
    """Return the value of `name` from the environment, from the file that `NAME_FILE` names, or from `.env`; else None.

    An empty value counts as none. `NAME_FILE` is how container platforms hand out secrets as mounted files.
    """
    env = os.environ if environ is None else environ
    return env.get(name) or _from_file(env.get(f"{name}_FILE")) or _from_dotenv(name, dotenv)


def revealed(value: Json) -> Json:
    """Return a value with the secrets that `{env: NAME}` and `{file: PATH}` in it stand for.

    UserError where one is not there. What this returns is for a call alone: it is never kept or shown.
    """
    match reference(value), value:
        case ("env", name), _:
            found = secret(name)
            if found is None:
                raise UserError(f"expected a secret in the environment variable {name} of the workers; it is not set")
            return found
        case ("file", path), _:
            found = _from_file(path)
            if found is None:
                raise UserError(f"expected a secret in the file '{path}'; it cannot be read, or is empty")
            return found
        case _, dict():
            return {name: revealed(part) for name, part in value.items()}
        case _, list():
            return [revealed(part) for part in value]
        case _:
            return value


def _from_file(path: str | None) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip() or None if path else None
    except (OSError, UnicodeDecodeError):
        return None


def _from_dotenv(name: str, path: Path) -> str | None:
    try:
        return dotenv_values(path, interpolate=False).get(name) or None if path.is_file() else None
    except (OSError, UnicodeDecodeError):
        return None
