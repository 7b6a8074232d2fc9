"""What all tests share: their order, which are slow, and that none has a clock.

Files that take minutes come first, so that no core ends with one alone.
"""

import signal

import pytest
from hypothesis import settings

# On a busy machine any example may take long: speed is a matter of benchmarks.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

# A shell starts what it runs in the background with SIGINT ignored, and so would be every stage that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = ("torture", "stages", "suggestions", "training", "export", "models", "report", "experiments", "benchmarks", "dars")
"""Folders of tests that take seconds each, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests and move them to the front, those that run whole stages first; nothing else changes places."""
    for item in items:
        if item.path.parent.name in SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: (*SLOW, item.path.parent.name).index(item.path.parent.name))
