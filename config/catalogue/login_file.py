"""Who may log in through an identity provider, and as what: the file that `FIRSTLINE_LOGIN_FILE` names."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from firstline.config.catalogue.yaml_file import read_yaml
from firstline.schemas.access import Role
from firstline.schemas.base import Frozen
from firstline.schemas.secret_names import reference

_TENANT = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_HERE = ("localhost", "127.0.0.1", "::1")


class RoleClaim(Frozen):
    """The claim that says what somebody may do; of several values that fit, the highest role counts."""

    claim: str = Field(min_length=1)
    values: dict[str, Role] = Field(min_length=1)


class TenantClaim(Frozen):
    """The claim that says whose somebody is."""

    claim: str = Field(min_length=1)
    #: Value of the claim -> tenant; empty: the value itself is the tenant's name.
    values: dict[str, str] = Field(default_factory=dict)


class LoginFile(Frozen):
    """An OpenID Connect provider, and what its claims stand for."""

    issuer: str
    client_id: str = Field(min_length=1)
    #: `{env: NAME}` or `{file: PATH}`; None: a public client, which PKCE alone protects.
    client_secret: dict[str, str] | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    #: What the link on the login page says.
    label: str = Field(default="Log in with your organisation", min_length=1, max_length=100)
    #: The claim that people are shown as, beside their subject.
    name_claim: str = "email"
    roles: RoleClaim | None = None
    #: The role of whom no value of `roles` fits; None: they are refused.
    otherwise: Role | None = Role.VIEWER
    tenants: TenantClaim | None = None
    #: The tenant of everybody where no claim says it.
    tenant: str = Field(default="default", pattern=_TENANT)
    #: Hours after which somebody logs in again, and their claims are looked at anew.
    hours: float = Field(default=12.0, gt=0, le=720)

    @field_validator("issuer")
    @classmethod
    def _is_safe(cls, issuer: str) -> str:
        if not is_safe(issuer):
            raise ValueError("expected an https:// address (http:// on this machine alone)")
        return issuer

    @field_validator("client_secret", mode="before")
    @classmethod
    def _is_named(cls, secret: object) -> object:
        if secret is not None and reference(secret) is None:
            raise ValueError("expected {env: NAME} or {file: /PATH}: a secret is named, not written down")
        return secret

    @field_validator("scopes")
    @classmethod
    def _ask_for_an_identity(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return scopes if "openid" in scopes else ("openid", *scopes)

    def role_of(self, claims: Mapping[str, object]) -> Role | None:
        """Return the role that claims stand for; None: nobody with them is let in."""
        if self.roles is None:
            return self.otherwise
        found = [self.roles.values[one] for one in _texts(claims.get(self.roles.claim)) if one in self.roles.values]
        return max(found, key=list(Role).index) if found else self.otherwise

    def tenant_of(self, claims: Mapping[str, object]) -> str | None:
        """Return the tenant that claims stand for; None: no tenant's, or several's."""
        if self.tenants is None:
            return self.tenant
        given, known = _texts(claims.get(self.tenants.claim)), self.tenants.values
        found = {known[one] for one in given if one in known} if known else set(given)
        return found.pop() if len(found) == 1 else None


def load_login(file: Path) -> LoginFile:
    """Return what a login file says; ConfigError holds every fault, with its line."""
    return read_yaml(file).parse(LoginFile)


def is_safe(url: str) -> bool:
    """Return whether what is sent to an address can be read by nobody between."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE))


def _texts(claim: object) -> list[str]:
    return [one for one in (claim if isinstance(claim, list) else [claim]) if isinstance(one, str)]
