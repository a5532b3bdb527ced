"""A web app on a database of its own, with a catalogue of the user's own, for the tests of API and pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import fakeredis
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.migrate import migrate
from firstline.orchestrator.web.app import make_app
from firstline.schemas.access import Role

#: Nothing listens there: messages go into memory, budgets and flags into a fake.
NO_REDIS = "redis://127.0.0.1:9/0"
PROFILE = """
name: house
tiers:
  - name: cheap
    models:
      - {name: openai/small, api_base: "http://127.0.0.1:9/v1", price: {input: 0.1, output: 0.2}}
      - {name: openai/other, api_base: "http://127.0.0.1:9/v1", price: {input: 0.2, output: 0.3}}
  - name: frontier
    models: [{name: openai/big, api_base: "http://127.0.0.1:9/v1", price: {input: 5, output: 10}}]
"""
SKILL = """
name: sort
description: Sorts a text.
instructions: Say what the text is about.
input: {text: {}}
output:
  type: object
  properties: {label: {enum: [a, b, c]}, why: {type: string}}
  required: [label]
  additionalProperties: false
"""
WORKFLOW = """
name: two-steps
description: Sorts, then sorts again what is an a.
steps:
  - {name: first, skill: sort, kind: route}
  - {name: second, skill: sort, after: [first], when: "first.label == 'a'"}
"""


@cache
def _migrated() -> bytes:
    """Return an empty database: migrating one takes longer than most tests."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        db = Database(f"sqlite:///{file}")
        migrate(db)
        db.close()
        return file.read_bytes()


@dataclass
class House:
    """The app and its folders."""

    app: FastAPI
    home: Path

    def client(self, token: str | None = None, **options) -> TestClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False, **options)

    def token(self, role: Role = Role.ADMIN, tenant: str = "default", days: float | None = None) -> str:
        token, _ = tokens.create(api.engine().db, name=role.value, role=role, tenant=tenant, days=days)
        self.app.state.doors._any_token = (False, float("-inf"))
        return token

    def submit(self, items: int = 3, **options) -> str:
        body = {"workflow": "two-steps", "items": [{"id": f"i{n}", "text": f"text {n}"} for n in range(items)]}
        answer = self.client(options.pop("token", None)).post("/v1/jobs", json=body | options)
        assert answer.status_code == 201, answer.text
        return answer.json()["job"]


def furnish(home: Path) -> Path:
    """Write the user's own files below `home`, and return it."""
    for folder, name, text in (
        ("tiers", "house", PROFILE),
        ("skills", "sort", SKILL),
        ("workflows", "two-steps", WORKFLOW),
    ):
        (home / folder).mkdir(parents=True, exist_ok=True)
        (home / folder / f"{name}.yaml").write_text(text)
    return home


def build_house(tmp_path: Path, monkeypatch, *, loopback: bool = True, **settings: str) -> House:
    """Return an app on an empty database below `tmp_path`."""
    home = furnish(tmp_path / "home")
    wanted = {
        "STATE_DIR": str(tmp_path / "state"),
        "HOME": str(home),
        "PROFILE": "house",
        "REDIS_URL": NO_REDIS,
        "API_REQUESTS_PER_MINUTE": "1000000",
    }
    for name, value in (wanted | settings).items():
        monkeypatch.setenv(f"FIRSTLINE_{name}", value)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "firstline.db").write_bytes(_migrated())
    api.engine().__dict__["redis"] = fakeredis.FakeStrictRedis(decode_responses=True)
    api.engine().app.conf.update(broker_url="memory://", broker_transport_options={})
    return House(make_app(get_settings(), loopback=loopback), home)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and path of every route, of included routers too."""

    def found(route: BaseRoute) -> Iterator[APIRoute]:
        if isinstance(route, APIRoute):
            yield route
        for inner in getattr(getattr(route, "original_router", route), "routes", ()) or ():
            yield from found(inner)

    every = [route for top in app.routes for route in found(top)]
    return [(method, route.path) for route in every for method in sorted(route.methods - {"HEAD", "OPTIONS"})]


def filled(path: str, job: str, name: str = "sort") -> str:
    """Return a path about a job, and about something of the catalogue."""
    values = {"job": job, "item": "0", "name": name, "comparison": "none", "model": f"firstline/{name}"}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda hole: values.get(hole[1], "x"), path)
