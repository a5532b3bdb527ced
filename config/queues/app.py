"""The Celery app: one broker, one queue per tier and one for the orchestrators, every option with its why."""

from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from firstline.config.queues.signing import keyring
from firstline.config.settings import Settings
from firstline.config.shared_state.address import Address, address_of
from firstline.schemas.errors import UserError
from firstline.schemas.job import Priority

#: Name of the orchestrators' queue.
ORCHESTRATOR = "orchestrator"

#: Redis serves lists in order; 0 goes first.
PRIORITIES = {Priority.HIGH: 0, Priority.NORMAL: 4, Priority.LOW: 7}
#: Priority of a job of normal priority that is so small that nobody would notice it going first.
SMALL_JOB = 2
STEPS = [0, 2, 4, 7]

TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "firstline.config.queues.broker:Transport")
TRANSPORT_ALIASES["sentinel"] = "firstline.config.queues.broker:SentinelTransport"

#: Seconds that a process waits for Redis's answer to a command.
SOCKET_TIMEOUT_S = 5.0
#: Seconds between two looks at whether a connection is still one: what waits on it would wait for ever.
HEALTH_S = 5
#: Seconds that a producer waits for Redis: what it could not publish, the sweep publishes later.
PATIENCE_S = 1.5
#: Kombu tries to connect again and again, also for a message sent with `retry=False`; and a Redis that accepts a
#: connection may never answer on it.
_HURRIED = {
    "max_retries": 0,
    "socket_connect_timeout": PATIENCE_S,
    "socket_timeout": PATIENCE_S,
    "retry_on_timeout": False,
}


def make_app(settings: Settings, *, producer: bool = False) -> Celery:
    """Return the app of this deployment, or one that only publishes and never waits long for it.

    UserError when no Redis is named.
    """
    if settings.redis_url is None:
        raise UserError(
            "FIRSTLINE_REDIS_URL is not set; expected a URL such as redis://localhost:6379/0 "
            "(`firstline run` alone needs none: it starts a server of its own)"
        )
    if settings.signing_key is not None:
        keyring(settings.namespace, settings.signing_key.get_secret_value())
    address = address_of(settings.redis_url)
    kind = "SentinelResults" if address.sentinels else "Results"
    url = address.celery_url
    app = Celery(
        "firstline",
        broker=url,
        backend=f"firstline.config.queues.results:{kind}+{url.removeprefix('redis+')}",
        set_as_current=False,
        amqp="firstline.config.queues.broker:Amqp",
        task_cls="firstline.config.queues.task:LabelledTask",
    )
    app.conf.update(_options(settings, address))
    if producer:
        app.conf.broker_transport_options |= _HURRIED
    return app


def queue(settings: Settings, name: str) -> Queue:
    """Return a tier's queue; a queue without its own exchange and key would get the default queue's messages."""
    full = settings.keys.queue(name)
    return Queue(full, Exchange(full), routing_key=full)  # type: ignore[no-untyped-call] # kombu has no types


def _options(settings: Settings, address: Address) -> dict[str, Any]:
    prefix = settings.namespace
    visibility = {"visibility_timeout": settings.visibility_timeout_s}
    # Sentinels say where the server is; Kombu and Celery ask them for each new connection.
    asked = {"master_name": address.master, "sentinel_kwargs": address.sentinel_options} if address.sentinels else {}
    return {
        **({"broker_use_ssl": address.tls, "redis_backend_use_ssl": address.tls} if address.tls else {}),
        # Ids and JSON only: a message can be read by anyone and executes nothing.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        # A message belongs to a worker until it is answered; a dead worker's work is sent again by our own sweep.
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        # Only what belongs to a chord leaves a result, and not for long: results live in SQL.
        "result_expires": 3600,
        "task_store_errors_even_if_ignored": False,
        "task_default_queue": settings.keys.queue(ORCHESTRATOR),
        "task_default_exchange": settings.keys.queue(ORCHESTRATOR),
        "task_default_routing_key": settings.keys.queue(ORCHESTRATOR),
        "task_create_missing_queues": True,
        "task_queue_max_priority": None,
        "task_default_priority": PRIORITIES[Priority.NORMAL],
        # The same in broker, backend and app: the shortest of all clients wins.
        "visibility_timeout": settings.visibility_timeout_s,
        "broker_transport_options": {
            **visibility,
            **asked,
            # All that is in Redis begins with the namespace, so that a Redis user may be bound to it.
            **settings.keys.transport_options,
            **({"signing_key": settings.signing_key.get_secret_value()} if settings.signing_key else {}),
            "fanout_patterns": False,
            "priority_steps": STEPS,
            "queue_order_strategy": "priority",
            "unacked_key": f"{prefix}.unacked",
            "unacked_index_key": f"{prefix}.unacked_index",
            "unacked_mutex_key": f"{prefix}.unacked_mutex",
            "socket_keepalive": True,
            "health_check_interval": HEALTH_S,
            "socket_connect_timeout": 5,
            # A Redis that has gone without a word, or the way to it, holds nobody for longer.
            "socket_timeout": SOCKET_TIMEOUT_S,
            "max_connections": 200,
        },
        "result_backend_transport_options": {**visibility, **asked, "global_keyprefix": f"{prefix}:"},
        "redis_socket_keepalive": True,
        "redis_socket_timeout": SOCKET_TIMEOUT_S,
        "redis_socket_connect_timeout": 5,
        "redis_max_connections": 200,
        "redis_backend_health_check_interval": HEALTH_S,
        # Redis may be restarted under a running worker for as long as it likes.
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Slots are counted by what is in work: none is held back after a connection was lost.
        "worker_enable_prefetch_count_reduction": False,
        # Those who share a Redis under two namespaces neither see nor command each other's workers.
        "control_exchange": f"{prefix}.control",
        "event_exchange": f"{prefix}.events",
        "event_queue_prefix": f"{prefix}.events",
        # Each event is a message too. A Flower has workers begin within five seconds, and asks new ones again.
        "worker_send_task_events": settings.events,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "enable_utc": True,
    }
