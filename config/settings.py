"""Settings of a deployment, from `FIRSTLINE_*` environment variables and `.env`."""

import base64
import os
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from firstline.config.errors.error_messages import sentence, suggestion
from firstline.config.shared_state.address import address_of, completed
from firstline.config.shared_state.keys import Keys
from firstline.schemas.errors import UserError

PREFIX = "FIRSTLINE_"
#: Folder of the user's own files that is found without being named.
OWN_FOLDER = Path("firstline")

#: What stands in settings of its own and belongs to the URL of Redis.
_OF_REDIS = ("redis_ca_file", "redis_master", "redis_sentinel_password")
_DATABASE = ("sqlite://", "postgresql://", "postgres://", "postgresql+psycopg://")


class Settings(BaseSettings):
    """How this deployment is set up; each field is the variable `FIRSTLINE_` plus its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    #: File with the certificate of the CA that signed that of Redis, in PEM; None: those that this machine trusts.
    redis_ca_file: Path | None = None
    #: Name under which Sentinels watch Redis.
    redis_master: str | None = None
    #: Password of the Sentinels themselves; None: they ask for none.
    redis_sentinel_password: SecretStr | None = None
    #: `redis://`, `rediss://`, `unix://`, `sentinel://` or `sentinels://`; None: `firstline run` starts its own.
    redis_url: str | None = None
    #: `postgresql://...` or `sqlite:///FILE`; None: an SQLite file in the state folder.
    database_url: str | None = None
    #: Where an embedded run keeps its database, its Redis files and its logs.
    state_dir: Path = Path(".firstline")
    #: The user's folder with `skills/`, `workflows/`, `tiers/`, `tools/`, `functions/`; besides `./firstline` if there.
    home: Path | None = None
    #: Where local models are kept.
    models_home: Path = Path("~/.cache/firstline/models")
    #: Prefix of every Redis key, queue and channel: two deployments may share one Redis under two namespaces.
    namespace: str = Field(default="firstline", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_:-]{0,39}$")
    #: Profile used where a job names none.
    profile: str = "recorded"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: `text` for people, `json` for machines.
    log_format: Literal["text", "json"] = "text"
    #: Seconds after which Redis hands out an unacknowledged message again; at least twice the longest batch.
    visibility_timeout_s: float = Field(default=3600.0, ge=10)
    #: Seconds between two signs of life of a worker.
    heartbeat_s: float = Field(default=1.0, gt=0, le=60)
    #: Seconds of silence after which a worker counts as dead and its work is sent again.
    dead_after_s: float = Field(default=6.0, gt=0)
    #: Seconds between two sweeps for work that no live worker holds.
    sweep_s: float = Field(default=1.0, gt=0)
    #: Dollars that the audit of one job may cost; None: the share that is audited is the only bound.
    audit_budget_usd: float | None = Field(default=None, gt=0)
    #: Standard Webhooks secret (`whsec_` and base64) that webhooks are signed with; None: jobs may name no webhook.
    webhook_secret: SecretStr | None = None
    #: Messages are signed with it: a secret of the whole deployment, or `QUEUE:KEY` of a worker; None: they are not.
    signing_key: SecretStr | None = None
    #: Let webhooks reach loopback, private and link-local addresses too.
    webhook_private: bool = False
    #: Requests a minute that one API token may make of one web process.
    api_requests_per_minute: float = Field(default=1200.0, gt=0)
    #: Megabytes of a JSON request to the API.
    api_max_body_mb: float = Field(default=16.0, gt=0)
    #: Megabytes of an uploaded file of items.
    api_max_upload_mb: float = Field(default=2000.0, gt=0)
    #: Megabytes of all uploads that one web process takes at once.
    api_max_spool_mb: float = Field(default=8000.0, gt=0)
    #: Streams (a job's events, results) that one API token may have open at once in one web process.
    api_streams: int = Field(default=50, gt=0)
    #: Chats that one API token may wait for at once in one web process.
    api_waits: int = Field(default=500, gt=0)
    #: Jobs of one tenant that have not ended; None: any number. Administrators are not bound.
    tenant_jobs: int | None = Field(default=None, gt=0)
    #: Items of these jobs.
    tenant_items: int | None = Field(default=None, gt=0)
    #: Dollars that each tenant may spend on a day (UTC) unless `firstline budget` says another sum; None: any.
    tenant_usd_per_day: float | None = Field(default=None, gt=0)
    #: Seconds that the OpenAI-compatible endpoint waits for an answer.
    api_answer_s: float = Field(default=300.0, gt=0)
    #: Share of a family's requests that cheaper tiers are asked too while its top model answers them.
    shadow_share: float = Field(default=0.5, ge=0, le=1)
    #: What that may cost, as a share of what the top model has cost in the family.
    shadow_budget: float = Field(default=0.2, ge=0, le=1)
    #: Share of a family's requests that may be answered otherwise than by its top model, unless its owner says another.
    family_max_loss: float = Field(default=0.05, gt=0, lt=1)
    #: Seconds without progress for want of a model after which `firstline run` gives up; elsewhere work just waits.
    no_model_s: float = Field(default=120.0, gt=0)
    #: Bearer token that reads `/metrics` and `/v1/scaling`, and nothing else; None: only an administrator's does.
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    #: File that says who may log in through an identity provider, and as what; None: people log in with tokens.
    login_file: Path | None = None
    #: Where Flower is, for links from the pages of jobs to it.
    flower_url: str | None = Field(default=None, pattern=r"^https?://")
    #: Where the pages are, for links from Flower to them, and for the way back from an identity provider.
    web_url: str | None = Field(default=None, pattern=r"^https?://")
    #: Send Celery's events of every task from the start on; else workers begin once a Flower looks.
    events: bool = False
    #: File that a worker or orchestrator touches whenever a message of its own comes through, for `firstline health`.
    pulse_file: Path | None = None
    #: Seconds that a stopping worker may take to hand its work back.
    grace_s: float = Field(default=20.0, gt=0)

    @field_validator("redis_ca_file")
    @classmethod
    def _certificates(cls, file: Path | None) -> Path | None:
        if file is None:
            return None
        try:
            ssl.create_default_context(cafile=file.expanduser())
        except OSError as error:
            raise ValueError(f"expected a PEM file of certificates, got '{file}' ({error})") from None
        return file.expanduser()

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            return None
        ca_file, master, password = (info.data.get(name) for name in _OF_REDIS)
        word = password.get_secret_value() if password else None
        url = completed(url, ca_file=ca_file, master=master, sentinel_password=word)
        address_of(url)
        return url

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(_DATABASE):
            raise ValueError("expected a URL such as postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE")
        scheme, rest = url.split("://", 1)
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_key(cls, secret: SecretStr | None) -> SecretStr | None:
        try:
            key = base64.b64decode((secret.get_secret_value() if secret else "").removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if secret is not None and len(key) < 24:
            raise ValueError("expected `whsec_` and base64 of at least 24 random bytes (`openssl rand -base64 32`)")
        return secret

    @field_validator("log_level", mode="before")
    @classmethod
    def _capitals(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @field_validator("state_dir", "home", "models_home", "pulse_file", "login_file")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else None

    @property
    def homes(self) -> tuple[Path, ...]:
        """The user's own folders: `./firstline` if there, and the one that `FIRSTLINE_HOME` names."""
        found = (OWN_FOLDER,) if OWN_FOLDER.is_dir() else ()
        return (*found, self.home) if self.home and self.home.resolve() != OWN_FOLDER.resolve() else found

    @property
    def database(self) -> str:
        """The database's URL, with the embedded SQLite file where none is set."""
        return self.database_url or f"sqlite:///{(self.state_dir / 'firstline.db').absolute()}"

    @property
    def keys(self) -> Keys:
        """The names of all Redis keys of this deployment."""
        return Keys(self.namespace)

    def model_file(self, source: str, *, folder: Path = Path()) -> Path:
        """Return the GGUF file of a local model, given its name or the file's path (relative to `folder`)."""
        if source.endswith(".gguf"):
            return folder / Path(source).expanduser()
        return self.models_home / f"{source}.gguf"


@cache
def get_settings() -> Settings:
    """Return this process's settings; UserError names every variable whose value will not do."""
    return load_settings()


def load_settings() -> Settings:
    """Return settings read afresh from the environment and `.env`."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise UserError("\n".join(_sentences(error))) from None
    except UnicodeDecodeError:
        raise UserError(".env: expected UTF-8 text; save the file as UTF-8") from None
    if settings.home and not settings.home.is_dir():
        raise UserError(
            f"FIRSTLINE_HOME: expected a folder with skills/, workflows/ or tiers/, got '{settings.home}', "
            "which is not a folder; create it or unset the variable"
        )
    return settings


def strangers(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return a sentence for each `FIRSTLINE_*` variable that is no setting: probably a typo."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    names = sorted(name for name in environ or os.environ if name.startswith(PREFIX) and name not in known)
    return tuple(f"{name} is no setting and has no effect{suggestion(name, known)}" for name in names)


def _sentences(error: ValidationError) -> list[str]:
    return [_sentence(part) for part in error.errors()]


def _sentence(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    # A URL may hold a password.
    shown = not name.endswith(("_url", "_secret"))
    return f"{PREFIX}{name.upper()}: {sentence(error, show=shown)}"
