"""Every facility describes itself alike, whichever kind of Tango database it runs with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tango

from servers.facility.facility_file import read_facility
from tests.facility.running import CHECKOUT
from tests.production.mariadb import DataBaseds
from tests.support.demo_facility import free_offset, started, stopped

pytestmark = [pytest.mark.production, pytest.mark.timeout(300)]

FILES = sorted((CHECKOUT / "dbconfig").glob("*.json"))


def described(file: Path, state_dir: Path, *words: str) -> dict[str, Any]:
    """Device -> what `diptych describe` prints of it, for people and for programs, and what Tango clients are told."""
    running = started(state_dir, free_offset(), *words, file=file)
    try:
        host = running.environment["TANGO_HOST"]
        found = {}
        for device in read_facility(file, state_dir=state_dir).device_names():
            texts = [running.run("diptych", "describe", device, *option) for option in ((), ("--json",))]
            assert all(text.returncode == 0 for text in texts), texts
            configuration = tango.DeviceProxy(f"tango://{host}/{device}").attribute_list_query_ex()
            found[device] = ([text.stdout for text in texts], [str(attribute) for attribute in configuration])
        return found
    finally:
        stopped(running)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_facility_describes_itself_alike_in_both_databases(
    file: Path, production: DataBaseds, tmp_path: Path
) -> None:
    site = described(file, tmp_path / "site", "--tango-host", production.tango_host)
    assert site and all(len(text) > 100 for (text, _), _ in site.values())
    assert described(file, tmp_path / "embedded") == site
