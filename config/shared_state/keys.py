"""Every Redis key of Firstline, all under one namespace so that two deployments on one Redis never meet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of Redis keys under `namespace`; the type of what stands there is in each docstring."""

    namespace: str = "firstline"

    def _key(self, *parts: str) -> str:
        return ":".join((self.namespace, *parts))

    @property
    def workers(self) -> str:
        """Sorted set: worker name by the time of its last heartbeat."""
        return self._key("workers")

    def heartbeat(self, worker: str) -> str:
        """JSON text that expires: what a live worker is and holds."""
        return self._key("heartbeat", worker)

    def claim(self, batch: str) -> str:
        """Text that expires: the worker that holds a batch."""
        return self._key("claim", batch)

    def answers(self, batch: str) -> str:
        """Hash: answers paid for and not yet judged, by (item, step, attempt)."""
        return self._key("answers", batch)

    def lease(self, name: str) -> str:
        """Text that expires: who does one thing alone."""
        return self._key("lease", name)

    def provider_batch(self, provider_batch: str) -> str:
        """Hash: how far a provider batch has been handed in."""
        return self._key("provider_batch", provider_batch)

    def provider_batch_named(self, name: str) -> str:
        """Text: the provider batch that a provider knows under this name."""
        return self._key("provider_batch_named", name)

    def cancel(self, job: str) -> str:
        """Text: set when nothing more may be called for a job."""
        return self._key("cancel", job)

    @property
    def due(self) -> str:
        """Sorted set: parked batches by the time they come back."""
        return self._key("due")

    def budget(self, name: str) -> str:
        """Hash: dollars reserved and spent under a cap (a job, a tenant, a day)."""
        return self._key("budget", name)

    def limit(self, model: str) -> str:
        """Hash: what is left of a model's requests, tokens and calls in flight."""
        return self._key("limit", model)

    def cooldown(self, model: str) -> str:
        """Hash that expires: why a model is left alone for now."""
        return self._key("cooldown", model)

    def prefix(self, name: str) -> str:
        """Text that expires: a static part of prompts is in its provider's cache; with `:writing`, a call writes it."""
        return self._key("prefix", name)

    @property
    def modes(self) -> str:
        """Hash: ways to ask for JSON that an endpoint refuses, by the Unix time until which that is remembered."""
        return self._key("modes")

    def student(self, job: str, step: str) -> str:
        """Hash: the student that is in force for a step of a job, and from which margin it may answer."""
        return self._key("student", job, step)

    def audited(self, student: str) -> str:
        """Set: the items of a student's key that were drawn for an audit."""
        return f"{student}:audited"

    def clean(self, student: str) -> str:
        """Set: those of them whose audit is over and no catch."""
        return f"{student}:clean"

    def cached(self, digest: str) -> str:
        """JSON text: a response that jobs of a tenant may share."""
        return self._key("cache", digest)

    def chat(self, tenant: str, digest: str) -> str:
        """JSON text that expires: the answer to a chat request under the idempotency key with this digest."""
        return self._key("chat", tenant, digest)

    def log_in(self, state: str) -> str:
        """Text that expires: a browser came back from the identity provider with this state."""
        return self._key("log_in", state)

    def events(self, job: str) -> str:
        """Stream: what happens to a job, for those who watch."""
        return self._key("events", job)

    @property
    def tally(self) -> str:
        """Hash: counters of calls, tokens and dollars since it was begun, for `/metrics`."""
        return self._key("tally")

    @property
    def leader(self) -> str:
        """Text that expires: the orchestrator that runs the sweeps."""
        return self._key("leader")

    def queue(self, name: str) -> str:
        """Celery's queue of a tier or of the orchestrator, a list in Redis."""
        return f"{self.namespace}.{name}"

    @property
    def transport_options(self) -> dict[str, str]:
        """Names of kombu's own keys, by the option of its channel that tells them."""
        named = {
            "keyprefix_queue": "_kombu.binding.%s",
            "keyprefix_binding_deadlines": "_kombu.binding_deadlines",
            "keyprefix_binding_permanent": "_kombu.binding_permanent.%s",
        }
        return {"namespace": self.namespace} | {option: self.queue(name) for option, name in named.items()}
