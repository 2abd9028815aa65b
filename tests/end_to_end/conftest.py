"""One real facility, shared by the modules of this folder; a module that ends it has one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.shared import end_with


@pytest.fixture(scope="session")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    running = started(tmp_path_factory.mktemp("facility") / "state", free_offset())
    end_with(Path(__file__).parent, lambda: running.process.poll() is None and stopped(running))
    yield running
