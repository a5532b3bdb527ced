"""What every test starts with."""

import logging
import os

import pytest


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> None:
    """A Celery worker of an earlier test in this process may have left the root logger at ERROR."""
    logging.getLogger().setLevel(logging.WARNING)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: half of the tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1
