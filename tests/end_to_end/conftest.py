"""One real facility, shared by the modules of a worker; a module that ends it has one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.demo_facility import Facility, free_offset, started, stopped


@pytest.fixture(scope="session")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    running = started(tmp_path_factory.mktemp("facility") / "state", free_offset())
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stopped(running)
