"""How a user's function modules import: their neighbours and their project's modules first, under private names."""

import builtins
import hashlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "_firstline_functions_"
#: Names that always mean what they mean everywhere.
_FIXED = sys.stdlib_module_names | {"firstline"}
_import = builtins.__import__


def holds(folder: Path, name: str) -> bool:
    """Return whether a folder has a module or a package of this dotted name."""
    target = folder.joinpath(*name.split("."))
    return target.with_name(f"{target.name}.py").is_file() or (target.is_dir() and any(target.glob("*.py")))


def load_module(folder: Path, name: str) -> ModuleType:
    """Import a module of a folder under a private name, so that no other folder's module of that name is in its way.

    What it imports in turn is looked for in the folder and, where that is a project's `functions`, in the project; then
    among what is installed. The standard library is never shadowed.
    """
    return importlib.import_module(f"{_root(folder)}.{name}")


def _root(folder: Path) -> str:
    """Return the name of a package that stands for the folder."""
    where = folder.resolve()
    root = f"{_PREFIX}{hashlib.sha256(str(where).encode()).hexdigest()[:12]}"
    if root not in sys.modules:
        package = ModuleType(root)
        package.__path__ = [str(where)]
        sys.modules[root] = package
        importlib.invalidate_caches()
    return root


def _places(folder: Path) -> tuple[Path, ...]:
    return (folder, folder.parent) if folder.name == "functions" else (folder,)


class _Finder:
    """Finds modules of private packages, and has their imports look at home first."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_PREFIX) or path is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            folder = Path(sys.modules[name.partition(".")[0]].__path__[0])
            spec.loader = _Loader(name, spec.loader.path, _places(folder))
        return spec


class _Loader(SourceFileLoader):
    """Runs a module with an `__import__` of its own (see the language reference on `__builtins__`)."""

    def __init__(self, name: str, path: str, places: tuple[Path, ...]) -> None:
        super().__init__(name, path)
        self._places = places

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # as `__import__` has them
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        home = None if level or top in _FIXED else next((one for one in self._places if holds(one, top)), None)
        if home is None:
            return _import(name, globals, locals, fromlist or (), level)
        module = load_module(home, name)
        if not fromlist:
            return load_module(home, top)
        for part in fromlist:
            if part != "*" and not hasattr(module, part) and hasattr(module, "__path__"):
                load_module(home, f"{name}.{part}")
        return module


if _Finder not in sys.meta_path:
    sys.meta_path.insert(0, _Finder)
