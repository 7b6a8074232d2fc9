"""What all tests share: their order, and that none has a clock.

Files that run whole stages take minutes and come first, so that no core ends with one alone.
"""

import signal

import pytest
from hypothesis import settings

# On a busy machine any example may take long: speed is a matter of benchmarks.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

# A shell starts what it runs in the background with SIGINT ignored, and so would be every stage that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of stages to the front; nothing else changes places."""
    items.sort(key=lambda item: item.path.parent.name != "stages")
