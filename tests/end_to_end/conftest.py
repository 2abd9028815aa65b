"""One real facility for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.demo_facility import Facility, free_offset, started, stopped


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    running = started(tmp_path_factory.mktemp("facility") / "state", free_offset())
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stopped(running)
