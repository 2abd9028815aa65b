from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tango

from tests.support.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a device of one of everything, shared by the tests of a module."""
    folder: Path = tmp_path_factory.mktemp("server")
    with serving("tests.support.everything:Everything", "test/everything/1", folder=folder) as running:
        yield running


@pytest.fixture
def proxy(server: Server) -> tango.DeviceProxy:
    return server.proxy()
