"""Logging in through an OpenID Connect provider: authorization code, PKCE, state and nonce."""

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx

from firstline.config.catalogue.login_file import LoginFile, is_safe
from firstline.config.providers.secrets import revealed
from firstline.orchestrator.core.sessions import BrowserSession
from firstline.schemas.errors import FirstlineError, InfrastructureError, UserError
from firstline.workers.providers.body_bounds import ACCEPTED, bound

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client
    from joserfc.jwk import KeySet

#: What may sign an identity: never `none`, and never a secret that both sides know.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_TIMEOUT_S = 10.0
#: Seconds that what the provider says of itself is kept, and between two looks for a key that is not known.
_KEPT_S, _LOOK_S = 3600.0, 10.0
#: Seconds that clocks may differ.
_LEEWAY_S = 60
_LONGEST_NAME = 200
#: The longest answer that is read, unpacked.
_MOST_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def _bounded(response: Any) -> None:
    bound(response, _MOST_BYTES)


def _failures() -> tuple[type[Exception], ...]:
    """Return what asking the provider may raise; authlib asks with httpx2 where there is one."""
    libraries = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name)]
    return ValueError, *(error for library in libraries for error in (library.HTTPError, library.StreamError))


def _careful() -> dict[str, Any]:
    """Return what a client of the provider is made with: its answers end, in time and in bytes."""
    hooks = {"response": [_bounded]}
    return {"timeout": _TIMEOUT_S, "headers": {"accept-encoding": ACCEPTED}, "event_hooks": hooks}


class LoginRefused(FirstlineError):
    """Somebody is not let in; the message is for them, and says nothing that they do not know."""


class IdentityProvider:
    """The provider of a login file; one object serves all threads of a process."""

    def __init__(self, login: LoginFile) -> None:
        """UserError where authlib is not installed."""
        try:
            import authlib.integrations.httpx_client  # noqa: F401 -- an extra of ours
        except ImportError:
            raise UserError(
                "logging in through an identity provider takes authlib: pip install 'firstline[oidc]'"
            ) from None
        self.login = login
        self._lock = threading.Lock()
        #: What it says of itself, its keys, and when they were asked for.
        self._about: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._about_at_s = self._keys_at_s = float("-inf")

    def way_in(self, secret: str, *, redirect_uri: str) -> str:
        """Return where to send a browser that holds `secret`, which this place alone can tell state and nonce from."""
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=state_of(secret),
                nonce=_derived("nonce", secret),
                code_verifier=_derived("verifier", secret),
            )
        return str(url)

    def finish(self, secret: str, asked: Mapping[str, str], *, redirect_uri: str) -> BrowserSession:
        """Return who came back with these parameters; LoginRefused, or InfrastructureError: the provider is away."""
        if not secrets.compare_digest(asked.get("state", "").encode(), state_of(secret).encode()):
            raise LoginRefused("this log-in was begun in another browser, or too long ago; begin again")
        if asked.get("iss", self.login.issuer) != self.login.issuer:
            raise LoginRefused("the answer is another provider's; begin again")
        if "code" not in asked:
            raise LoginRefused("the identity provider let nobody in")
        return self._session(self._claims(self._id_token(secret, asked["code"], redirect_uri), secret))

    def _id_token(self, secret: str, code: str, redirect_uri: str) -> str:
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._client(redirect_uri) as client:
                told = client.fetch_token(
                    self._endpoint("token_endpoint"), code=code, code_verifier=_derived("verifier", secret)
                )
        except AuthlibBaseError:
            raise LoginRefused("the identity provider did not take the code; begin again") from None
        except _failures() as error:
            raise _away(error) from None
        found = told.get("id_token")
        if not isinstance(found, str):
            raise LoginRefused("the identity provider named nobody; is `openid` among the client's scopes?")
        return found

    def _claims(self, token: str, secret: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        client_id = self.login.client_id
        try:
            try:
                signed = jwt.decode(token, self._key_set(), algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                # Keys are changed now and then.
                signed = jwt.decode(token, self._key_set(anew=True), algorithms=_ALGORITHMS)
            wanted: Any = {
                "iss": {"essential": True, "value": self.login.issuer},
                "aud": {"essential": True, "value": client_id},
                "sub": {"essential": True},
            }
            claims = CodeIDToken(
                signed.claims,
                signed.header,
                options=wanted,
                params={"nonce": _derived("nonce", secret), "client_id": client_id},
            )
            claims.validate(now=int(time.time()), leeway=_LEEWAY_S)
        except (JoseError, ValueError) as error:
            raise LoginRefused(f"the identity provider's token will not do ({_said(error)}); begin again") from None
        return dict(claims)

    def _session(self, claims: Mapping[str, Any]) -> BrowserSession:
        subject = str(claims["sub"])[:_LONGEST_NAME]
        shown = claims.get(self.login.name_claim)
        name = f"{shown[:_LONGEST_NAME]} ({subject})" if isinstance(shown, str) and shown else subject
        role, tenant = self.login.role_of(claims), self.login.tenant_of(claims)
        if role is None:
            raise LoginRefused(f"{name} has no role here; ask an administrator")
        if tenant is None or not _NAME.fullmatch(tenant):
            raise LoginRefused(f"{name} belongs to no tenant here, or to several; ask an administrator")
        return BrowserSession(name=name, role=role, tenant=tenant)

    def _client(self, redirect_uri: str) -> "OAuth2Client":
        from authlib.integrations.httpx_client import OAuth2Client

        given = self.login.client_secret
        known = self._said_of_itself().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"
        return OAuth2Client(
            self.login.client_id,
            str(revealed(dict(given))) if given is not None else None,
            token_endpoint_auth_method=method if given is not None else "none",
            scope=" ".join(self.login.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            follow_redirects=False,
            **_careful(),
        )

    def _endpoint(self, name: str) -> str:
        found = self._said_of_itself().get(name)
        if not isinstance(found, str) or not is_safe(found):
            raise InfrastructureError(f"the identity provider {self.login.issuer} names no safe {name}")
        return found

    def _said_of_itself(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() - self._about_at_s > _KEPT_S:
                about = _fetched(f"{self.login.issuer.rstrip('/')}/.well-known/openid-configuration")
                if about.get("issuer") != self.login.issuer:
                    said = str(about.get("issuer"))[:_LONGEST_NAME]
                    raise InfrastructureError(f"expected the issuer {self.login.issuer}, but it calls itself '{said}'")
                self._about, self._about_at_s = about, time.monotonic()
            return self._about

    def _key_set(self, *, anew: bool = False) -> "KeySet":
        from joserfc.jwk import KeySet

        url = self._endpoint("jwks_uri")
        with self._lock:
            age_s = time.monotonic() - self._keys_at_s
            if self._keys is None or age_s > _KEPT_S or (anew and age_s > _LOOK_S):
                self._keys = KeySet.import_key_set(_fetched(url))  # type: ignore[arg-type]
                self._keys_at_s = time.monotonic()
            return self._keys


def state_of(secret: str) -> str:
    """Return the state that a browser with this secret comes back with."""
    return _derived("state", secret)


def _derived(purpose: str, secret: str) -> str:
    return hashlib.sha256(f"{purpose}:{secret}".encode()).hexdigest()


def _fetched(url: str) -> dict[str, Any]:
    try:
        with httpx.Client(**_careful()) as client:
            answer = client.get(url).raise_for_status().json()
    except _failures() as error:
        raise _away(error) from None
    if not isinstance(answer, dict):
        raise InfrastructureError(f"expected an object from {url}, got {type(answer).__name__}")
    return answer


def _away(error: Exception) -> InfrastructureError:
    return InfrastructureError(f"the identity provider cannot be asked: {type(error).__name__}: {error}")


def _said(error: Exception) -> str:
    return str(getattr(error, "error", "") or type(error).__name__)
