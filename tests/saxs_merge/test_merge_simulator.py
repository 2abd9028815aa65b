"""The simulator of the SAXS detector writes logs that belong to its images, and how they are merged."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from devices.core.errors import ConfigurationError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.saxs_merge_configuration import read_merge_configuration
from devices.saxs.merge_job import MergeJob, merge
from devices.saxs.merge_sources import found_logs
from devices.simulators.saxs import AHEAD_SECONDS, run
from devices.simulators.saxs_logs import MERGE_NAME
from tests.saxs_merge.series import rows
from tests.support.running import until


def test_its_logs_and_its_configuration_give_the_motor_and_the_open_shutter(tmp_path: Path) -> None:
    folder = tmp_path / "images"

    async def write() -> None:
        options = {"folder": str(folder), "rate_hz": 20, "keep": 4, "shape": "64x80", "logs": True}
        simulator = asyncio.create_task(run(0, options))
        await until(lambda: simulator.done() or (folder / "agbeh_00007.tif").exists(), "seven images", 20.0)
        simulator.cancel()
        await asyncio.gather(simulator, return_exceptions=True)

    asyncio.run(write())
    document = json.loads((folder / MERGE_NAME).read_text())
    assert document["TimeOffset"] == -AHEAD_SECONDS  # these tests run in UTC
    configuration = read_merge_configuration(folder / MERGE_NAME)
    allowed = AllowedFolders([folder])
    merge(MergeJob(folder, allowed, configuration, found_logs(configuration, (), allowed)), lambda percent, text: None)
    found = rows(folder / "results" / "logs" / "images.csv")
    images = sorted(path.name for path in folder.glob("*.tif"))
    assert [row["filename (Img)"] for row in found] == images and len(images) >= 4
    assert all(0.0 < float(row["Time Measured [s] (ImgLog)"]) <= 0.05 for row in found)
    assert all(row["Sample (Dlogger)"] == "agbeh" for row in found)
    seconds = np.array([datetime.fromisoformat(row["time"]).timestamp() for row in found])
    motor = np.array([float(row["Motor X (Dlogger)"]) for row in found])
    np.testing.assert_allclose(np.diff(motor), 0.05 * np.diff(seconds), atol=1e-4)  # mm, at 0.05 mm/s
    assert all(float(row["Shutter (Dlogger)"]) == pytest.approx(5.0) for row in found)


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="logs = maybe is not true or false"):
        asyncio.run(run(0, {"folder": str(tmp_path), "logs": "maybe"}))
