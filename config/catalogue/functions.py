"""A user's functions by dotted path: from the user's own folders first, then from what is installed."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from firstline.config.catalogue.function_imports import holds, load_module
from firstline.schemas.errors import UserError


def load(path: str, *, folders: tuple[Path, ...] = ()) -> Callable[..., Any]:
    """Return the function named `module:function` (or `module.function`).

    A module file in one of `folders` wins and is imported under a private name, so that a user's `json.py` shadows
    neither the standard library nor us; it imports its neighbours and its project's modules by their plain names.
    UserError when the path is malformed, the module or function is missing, or the module raises while imported.
    """
    module_name, attributes = _split(path)
    module = _import(module_name, folders, path)
    found: Any = module
    for attribute in attributes:
        if not hasattr(found, attribute):
            raise UserError(f"{path}: {module_name} has no {attribute!r}; it has: {_names(module)}")
        found = getattr(found, attribute)
    if not callable(found):
        raise UserError(f"{path}: expected a function, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _split(path: str) -> tuple[str, list[str]]:
    module, colon, attribute = path.partition(":")
    if not colon:
        module, _, attribute = path.rpartition(".")
    parts = [*module.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise UserError(f"expected a function as module:function, got {path!r}")
    return module, attribute.split(".")


def _import(name: str, folders: tuple[Path, ...], path: str) -> ModuleType:
    folder = next((folder for folder in folders if holds(folder, name)), None)
    if folder is None and not _is_installed(name):
        looked = ", ".join(map(str, folders)) or "no folder of functions"
        raise UserError(f"{path}: there is no module {name!r} in {looked}, nor among the installed packages")
    try:
        return load_module(folder, name) if folder else importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UserError(f"{path}: importing {name} raised {type(error).__name__}: {error}") from error


def _is_installed(name: str) -> bool:
    # Only the top: importing parents to look further would run code whose errors are reported later and better.
    top = name.partition(".")[0]
    return top in sys.modules or importlib.util.find_spec(top) is not None


def _names(module: ModuleType) -> str:
    public = (name for name, value in vars(module).items() if callable(value) and not name.startswith("_"))
    return ", ".join(sorted(public)[:20]) or "no function"
