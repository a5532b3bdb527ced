"""Secrets are named, never written down: `{env: NAME}` or `{file: PATH}` stands where one belongs."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

#: Names of options and headers whose value is a secret.
_NAMES = re.compile(
    r"(^|[_-])(password|passwd|passphrase|secret|token|api[_-]?key|apikey|authorization|credentials?|private[_-]?key"
    r"|access[_-]?key|cookie)$",
    re.IGNORECASE,
)
#: How keys of well-known providers begin, wherever they stand.
_VALUES = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|fl_[\w-]{40,}|Bearer\s+\S{8,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")


def reference(value: object) -> tuple[str, str] | None:
    """Return `env` or `file` and what it names, where a value stands for a secret."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    ((kind, name),) = value.items()
    if kind == "env" and isinstance(name, str) and _ENV.fullmatch(name):
        return "env", name
    return ("file", name) if kind == "file" and isinstance(name, str) and name else None


def env_names(value: object) -> Iterator[str]:
    """Yield the environment variables that secrets in a value are read from."""
    match reference(value), value:
        case ("env", name), _:
            yield name
        case _, Mapping():
            for part in value.values():
                yield from env_names(part)
        case _, list() | tuple():
            for part in value:
                yield from env_names(part)


def written_secrets(value: object, at: str = "") -> Iterator[str]:
    """Yield where in a value of names, lists and texts a secret is written down."""
    if reference(value) is not None:
        return
    match value:
        case Mapping():
            for name, part in value.items():
                where = f"{at}.{name}" if at else str(name)
                if isinstance(part, str) and part and _NAMES.search(str(name)):
                    yield where
                else:
                    yield from written_secrets(part, where)
        case list() | tuple():
            for n, part in enumerate(value):
                yield from written_secrets(part, f"{at}[{n}]")
        case str() if _VALUES.search(value) or _has_password(value):
            yield at


def refuse_written(value: object) -> None:
    """Raise a ValueError where a secret is written down."""
    found = next(written_secrets(value), None)
    if found is not None:
        raise ValueError(
            f"a secret is written down at '{found}'; keep it in the environment of the workers or in a file, and write "
            "{env: NAME} or {file: /PATH} there"
        )


def _has_password(text: str) -> bool:
    if "://" not in text or "@" not in text:
        return False
    try:
        return bool(urlsplit(text).password)
    except ValueError:
        return False
