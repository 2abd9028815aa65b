"""What most tests of the mirror need: the two foreign devices, a mirror of them, and clients of it.

A module that tests another device has a ``server`` and a ``mirrored`` of its own; the clients are then clients of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from p4p.client.thread import Context

from servers.epics.mirror import Mirror
from tests.epics.mirroring import TangoServer, config_for, mirror, pva_conf, tango_server
from tests.epics.raw_client import RawClient


@pytest.fixture(scope="module")
def server() -> Iterator[TangoServer]:
    with tango_server() as running:
        yield running


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def mirrored(server: TangoServer, audit: Path) -> Iterator[Mirror]:
    with mirror(config_for(server, audit_path=audit)) as running:
        yield running


@pytest.fixture(scope="module")
def pva(mirrored: Mirror) -> Iterator[Context]:
    context = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
    yield context
    context.close()


@pytest.fixture
def channels(mirrored: Mirror) -> Iterator[RawClient]:
    with RawClient(mirrored.ca.port) as client:
        yield client
