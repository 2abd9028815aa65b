"""What every test finds: no control system of the machine's own, only what a test starts itself."""

from __future__ import annotations

import os
from typing import Any

import pytest

from servers.garbage import collect_apart
from tests.support.shared import left

for _name in list(os.environ):
    if _name == "TANGO_HOST" or _name.startswith("EPICS_"):
        del os.environ[_name]

collect_apart()  # tests have proxies and run mirrors in one process, as servers do

#: Folders whose files share one facility: it runs once, on one worker, and only while they are tested.
SHARING = ("tests/clients", "tests/end_to_end", "tests/web")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The last test of a folder ends what its tests have shared."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        left(item.path.parent)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """File by file, but for the folders that share a facility: these go to one worker as a whole."""
    from xdist.scheduler import LoadFileScheduling

    class ByFacility(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            folder = file.rpartition("/")[0]
            return folder if folder in SHARING else file

    return ByFacility(config, log)
