"""One facility for all tests of clients, and a process for the clients of each module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.bench import Bench
from tests.clients.bench import bench as running_bench
from tests.clients.process import ClientProcess
from tests.support.shared import end_with


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with ExitStack() as stack:
        running = stack.enter_context(running_bench(folder, folder / "state"))
        end_with(Path(__file__).parent, stack.pop_all().close)
    yield running


@pytest.fixture(scope="module")
def client(bench: Bench) -> Iterator[ClientProcess]:
    """A process of its own for one client library, with the environment that ``diptych env`` gives."""
    process = ClientProcess(bench.environment)
    yield process
    process.close()


@pytest.fixture(autouse=True)
def at_rest(request: pytest.FixtureRequest) -> None:
    """No operation runs that another test has begun."""
    if "bench" in request.fixturenames:
        request.getfixturevalue("bench").rest()
