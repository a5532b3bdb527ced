"""Secrets are named, never written down: `{env: NAME}` or `{file: PATH}` stands where one belongs."""

import re
from collections.abc import Iterator, Mapping

#: Names of options and headers whose value is a secret.
_NAMES = re.compile(
    r"(^|[_-])(password|passwd|pwd|passphrase|secret|token|api[_-]?key|apikey|authorization|credentials?|private[_-]?key"
    r"|access[_-]?key|account[_-]?key|cookie)$",
    re.IGNORECASE,
)
#: How keys of well-known providers begin, wherever they stand.
_VALUES = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|fl_[\w-]{40,}|Bearer\s+\S{8,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
#: `clientSecret` is a name like `client_secret`.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: A password between a URL's scheme and its host; what is said by name in a URL's query, a connection string or a flag.
_PASSWORD = re.compile(r"\w://[^/\s:@?#]*:[^/\s@]+@")
_SAID = re.compile(r"(?:^|[?&;\s])(?:--)?([A-Za-z][\w-]*)=(?=[^\s&;{:?$%])")
_FLAG = re.compile(r"--([A-Za-z][\w-]*)")
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
                if isinstance(part, str) and part and _is_secret(str(name)):
                    yield where
                else:
                    yield from written_secrets(part, where)
        case list() | tuple():
            flags = (None, *value)
            for n, (flag, part) in enumerate(zip(flags, value, strict=False)):
                if isinstance(part, str) and not _FLAG.match(part) and _is_secret_flag(flag):
                    yield f"{at}[{n}]"
                else:
                    yield from written_secrets(part, f"{at}[{n}]")
        case str() if _VALUES.search(value) or _PASSWORD.search(value) or any(map(_is_secret, _SAID.findall(value))):
            yield at


def _is_secret(name: str) -> bool:
    return _NAMES.search(_HUMP.sub("_", name)) is not None


def _is_secret_flag(flag: object) -> bool:
    """Say whether what follows a word of a command line is a secret: `--token`."""
    found = _FLAG.fullmatch(flag) if isinstance(flag, str) else None
    return found is not None and _is_secret(found[1])


def refuse_written(value: object) -> None:
    """Raise a ValueError where a secret is written down."""
    found = next(written_secrets(value), None)
    if found is not None:
        raise ValueError(
            f"a secret is written down at '{found}'; keep it in the environment of the workers or in a file, and write "
            "{env: NAME} or {file: /PATH} there"
        )
