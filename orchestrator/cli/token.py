"""`firstline token`: who may use the HTTP API and the pages."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.schemas.access import Token

PANEL = "Set up"

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke tokens of the HTTP API.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, or what for.")] = "default",
    role: Annotated[
        Literal["viewer", "submitter", "operator", "admin"], typer.Option("--role", "-r", help="What it may do.")
    ] = "viewer",
    tenant: Annotated[str, typer.Option("--tenant", help="Whose jobs it may see; an admin sees all.")] = "default",
    days: Annotated[float | None, typer.Option("--days", min=0.001, help="Days until it expires.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it, once: only its digest is kept."""
    from firstline.orchestrator import api
    from firstline.orchestrator.core import tokens
    from firstline.orchestrator.core.audit_log import note_command
    from firstline.schemas.access import Role

    token, listed = tokens.create(api.engine().db, name=name, role=Role(role), tenant=tenant, days=days)
    note_command(api.engine().db, action="token create", target=f"{listed.id} ({listed.role}, {listed.tenant})")
    if as_json:
        typer.echo(json.dumps({**listed.model_dump(mode="json"), "token": token}))
        return
    typer.echo(f"token {listed.id} ({listed.role}, tenant {listed.tenant}); it is shown only now:", err=True)
    typer.echo(token)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all tokens, newest first."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.core import tokens

    found = tokens.listed(api.engine().db)
    if as_json:
        show_json(found)
        return
    rows = [(one.id, one.name, one.role, one.tenant, _when(one.created_at), _used(one), _end(one)) for one in found]
    show_table(("id", "name", "role", "tenant", "created", "last used", "in force"), rows)


@app.command()
def revoke(token: Annotated[str, typer.Argument(metavar="ID", help="The token's id.")], as_json: Json = False) -> None:
    """End a token at once."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_fields
    from firstline.orchestrator.core import tokens
    from firstline.orchestrator.core.audit_log import note_command

    tokens.revoke(api.engine().db, token)
    note_command(api.engine().db, action="token revoke", target=token)
    show_fields(as_json, f"token {token} is revoked", token=token, revoked=True)


def _used(token: "Token") -> str:
    return _when(token.last_used_at) if token.last_used_at else "never"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _end(token: "Token") -> str:
    if token.revoked_at is not None:
        return f"revoked {_when(token.revoked_at)}"
    return f"until {_when(token.expires_at)}" if token.expires_at is not None else "yes"
