"""The two kinds of Tango database, for the tests of a module: MariaDB under the C++ server, and the embedded one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from servers.facility.readiness import database_answers
from tests.facility.running import free_port, wait_for
from tests.production.mariadb import DataBaseds, production_database


@pytest.fixture(scope="module")
def production() -> Iterator[DataBaseds]:
    with production_database() as running:
        yield running


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an embedded database."""
    folder, port = tmp_path_factory.mktemp("embedded"), free_port()
    words = ["-m", "servers.facility.database", "--port", str(port), "--state-dir", str(folder)]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-P", *words], stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: database_answers(f"127.0.0.1:{port}"), 20.0, "the embedded database answers")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10.0)


@pytest.fixture(scope="module", params=["MariaDB", "embedded"])
def tango_host(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of each kind in turn."""
    if request.param == "embedded":
        host: str = request.getfixturevalue("embedded")
        return host
    running: DataBaseds = request.getfixturevalue("production")
    return running.tango_host
