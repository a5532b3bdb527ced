"""What every test starts with."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> None:
    """A Celery worker of an earlier test in this process may have left the root logger at ERROR."""
    logging.getLogger().setLevel(logging.WARNING)
