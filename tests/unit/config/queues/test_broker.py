"""The broker's transport: what cannot be put back is no reason to end."""

import logging
from types import SimpleNamespace

import pytest
from kombu.exceptions import OperationalError

from firstline.config.queues.app import make_app
from firstline.config.queues.broker import Transport, _QoS
from firstline.config.settings import Settings


def test_the_app_talks_to_redis_through_it():
    app = make_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    with app.connection_for_write() as connection:
        assert connection.get_transport_cls() is Transport


def test_a_redis_that_was_away_for_long_is_asked_again_within_seconds(monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", waited.append)
    app = make_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    intervals: list[float] = []
    with app.connection_for_write() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, interval_s: intervals.append(interval_s), 8)
    assert intervals == [1, 2, 3, 4, 4, 4, 4, 4]


def test_a_channel_that_lost_its_connection_puts_nothing_back_and_says_so(caplog):
    def conn_or_acquire(client=None):
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    qos = _QoS(SimpleNamespace(do_restore=True, conn_or_acquire=conn_or_acquire))
    qos._delivered["tag"] = object()
    with caplog.at_level(logging.WARNING):
        qos.restore_unacked_once()
    assert [(record.message, record.messages) for record in caplog.records] == [("broker.not_put_back", 1)]
