"""One facility for all tests of clients, and a process for the clients of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.bench import Bench
from tests.clients.bench import bench as running_bench
from tests.clients.process import ClientProcess


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with running_bench(folder, folder / "state") as running:
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
