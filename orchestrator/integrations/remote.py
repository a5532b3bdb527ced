"""A workflow behind the HTTP API, as frameworks call it: items go in as one job, results come back."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from firstline.schemas.base import JsonObject
from firstline.schemas.errors import FirstlineError, InfrastructureError, UserError
from firstline.schemas.job import ItemResult, ItemState, JobStatus

_ANSWER_S = 60.0
#: Pauses between two looks at a job grow from the first to the second.
_POLLS_S = (0.1, 2.0)


class UnansweredError(FirstlineError):
    """A question that no tier answered well enough; the message says why, and names the job."""


@dataclass(frozen=True)
class Remote:
    """One workflow or skill of a server that `firstline serve` runs."""

    workflow: str
    url: str = "http://127.0.0.1:8080"
    token: str | None = field(default=None, repr=False)
    #: Ladder of models; None: the server's own default.
    profile: str | None = None
    #: Dollars that one call (all its items) may cost.
    budget_usd: float | None = None
    #: Seconds to wait for the answers of one call; then its job is cancelled.
    timeout_s: float = 600.0

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return what the workflow does, and its items' required fields with what they mean."""
        with self._client() as client:
            offered = _said(client.get("/v1/offers"))["workflows"]
        found = next((one for one in offered if one["name"] == self.workflow), None)
        if found is None:
            names = ", ".join(one["name"] for one in offered) or "none"
            raise UserError(f"{self.url} has no workflow or skill '{self.workflow}'; it has: {names}")
        fields = {name: one["description"] for name, one in found["fields"].items() if one["required"]}
        return found["description"] or f"Answers with the workflow {self.workflow}.", fields

    def ask(self, items: Sequence[JsonObject]) -> list[ItemResult | UnansweredError]:
        """Return an answer per item, in their order.

        UserError: the request will not do. InfrastructureError: the server cannot be reached, or the time is up.
        """
        order = {"workflow": self.workflow, "profile": self.profile, "budget_usd": self.budget_usd}
        body = {name: value for name, value in order.items() if value is not None} | {"items": _told_apart(items)}
        with self._client() as client:
            job = str(_said(client.post("/v1/jobs", json=body))["job"])
            status = self._wait(client, job)
            lines = _checked(client.get(f"/v1/jobs/{job}/results")).text.splitlines()
        results = [ItemResult.model_validate_json(line) for line in lines[: len(items)]]
        return [_answered(result, status) for result in results]

    def _wait(self, client: httpx.Client, job: str) -> JobStatus:
        """Wait until nothing more happens to the job without a person; return how it stands then."""
        deadline_s, pause_s = time.monotonic() + self.timeout_s, _POLLS_S[0]
        while not (status := JobStatus.model_validate(_said(client.get(f"/v1/jobs/{job}")))).rests:
            if time.monotonic() > deadline_s:
                # A token that may only submit cannot cancel.
                end = "is cancelled" if client.post(f"/v1/jobs/{job}/cancel").is_success else "goes on"
                raise InfrastructureError(f"job {job} had no answer within {self.timeout_s:g} s, and {end}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _POLLS_S[1])
        return status

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with httpx.Client(base_url=self.url, headers=headers, timeout=_ANSWER_S) as client:
                yield client
        except httpx.TransportError as error:
            raise InfrastructureError(
                f"cannot reach Firstline at {self.url} ({error or type(error).__name__}); does `firstline serve` run?"
            ) from error


def _said(answer: httpx.Response) -> Any:
    return _checked(answer).json()


def _checked(answer: httpx.Response) -> httpx.Response:
    """Return the answer; a problem (RFC 9457) is raised as what it says."""
    if answer.is_success:
        return answer
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.url} answered with {answer.status_code} {answer.reason_phrase}; is it a Firstline server?"
    raise (InfrastructureError if answer.is_server_error else UserError)(detail)


def _told_apart(items: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the items with ids that differ: two questions may well carry the same."""
    ids = {str(item["id"]) for item in items if "id" in item}
    if len(ids) in (0, len(items)):
        return list(items)
    return [{**item, "id": str(n)} for n, item in enumerate(items)]


def _answered(result: ItemResult, status: JobStatus) -> ItemResult | UnansweredError:
    if result.status is ItemState.SETTLED:
        return result
    why = result.reason or status.reason or f"the item is {result.status.value}"
    return UnansweredError(f"job {status.job}: {why}")
