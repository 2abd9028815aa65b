"""The histories that every store must keep alike: the embedded one, and PostgreSQL where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servers.history.postgres_store import PostgresStore
from servers.history.sqlite_store import SqliteStore
from servers.history.store import Store
from tests.history.postgres import Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.create()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same empty history, again and again."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "history.sqlite")
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url(server.new_database())
    return lambda: PostgresStore(url, "site")


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Iterator[Store]:
    with closing(open_store()) as opened:
        yield opened
