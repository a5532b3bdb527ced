"""Databases of the user's own, which items are read from and results written to: opened by URL, closed again."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from firstline.schemas.errors import UserError

#: The extra that brings a driver.
_EXTRAS = {"psycopg": "pip install 'firstline[postgres]'"}


def is_database(address: str) -> bool:
    """Return whether an address is a database's URL, by its scheme."""
    scheme, sign, _ = address.partition("://")
    if not sign:
        return False
    try:
        registry.load(_dialect(scheme).replace("+", "."))
    except NoSuchModuleError:
        return False
    except ImportError:
        return True
    return True


def split(address: str, part: str) -> tuple[str, str | None]:
    """Return a database's URL without `?part=...`, and what stands there; that is the rest of the address."""
    for sign in ("?", "&"):
        url, found, rest = address.partition(f"{sign}{part}=")
        if found:
            return url, rest
    return address, None


def shown(address: str) -> str:
    """Return an address for people: without its password and its parameters."""
    try:
        url = make_url(address.partition("?")[0])
    except ArgumentError:
        return address.partition("://")[0] + "://..."
    return url.render_as_string(hide_password=True)


@contextmanager
def opened(address: str, *, writes: bool) -> Iterator[Connection]:
    """Yield a connection in a transaction: one that can only read, or one that commits at the end.

    UserError in one sentence for whatever goes wrong with the database meanwhile.
    """
    try:
        engine = create_engine(_url(address), poolclass=NullPool, hide_parameters=True)
        reading = engine.execution_options(**({"postgresql_readonly": True} if engine.name == "postgresql" else {}))
        with (engine if writes else reading).connect() as connection, connection.begin():
            if engine.name == "sqlite" and not writes:
                connection.exec_driver_sql("PRAGMA query_only = on")
            yield connection
    except ModuleNotFoundError as error:
        cure = _EXTRAS.get(error.name or "", f"pip install {error.name}")
        raise UserError(f"{shown(address)} needs the driver {error.name}, which is not installed: {cure}") from None
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise UserError(f"the database {shown(address)} did not answer as expected: {said[:300]}") from None


def _dialect(scheme: str) -> str:
    return {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}.get(scheme.lower(), scheme.lower())


def _url(address: str) -> URL:
    url = make_url(address)
    return url.set(drivername=_dialect(url.drivername))
