"""What every test starts with."""

import gc
import logging
import os

import pytest
from hypothesis import HealthCheck, settings

gc.disable()
gc.set_threshold(20_000, 20, 20)
# A busy machine is no fault of what is tested.
settings.register_profile("firstline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("firstline")


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> None:
    """A Celery worker of an earlier test in this process may have left the root logger at ERROR."""
    logging.getLogger().setLevel(logging.WARNING)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Thousands of tests and all that they import stay: nobody looks through them again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()
