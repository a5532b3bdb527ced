"""What every unit test is given: settings that no earlier test has made."""

from collections.abc import Iterator

import pytest

from firstline.config.settings import get_settings


@pytest.fixture(autouse=True)
def settings_of_its_own() -> Iterator[None]:
    """Forget the settings of a test's environment when it ends."""
    yield
    get_settings.cache_clear()
