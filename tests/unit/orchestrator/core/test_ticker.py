"""Tickers: what they do is done again and again, whatever it raises, until they are stopped."""

import logging
import threading

import pytest

from firstline.orchestrator.core.ticker import Ticker
from firstline.schemas.errors import UserError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(UserError("Redis is away"), "sweep.postponed", id="what may be expected"),
        pytest.param(ValueError("a bug"), "sweep.bug", id="a bug"),
    ],
)
def test_it_goes_on_after_an_error_and_tells_of_it(caplog, error, told):
    thrice, times = threading.Event(), []

    def act():
        times.append(1)
        if len(times) == 3:
            thrice.set()
        raise error

    ticker = Ticker("sweep", 0.001, act)
    with caplog.at_level(logging.WARNING):
        ticker.start()
        assert thrice.wait(5)
        ticker.stop()
    assert ticker._thread is not None
    assert not ticker._thread.is_alive()
    assert {record.message for record in caplog.records} == {told}
