"""A disk that is really full: a small one in memory, which only root can make."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from devices.ccd import exposure_settings
from devices.ccd.exposure_state import ExposureState
from tests.ccd.camera import camera
from tests.support.running import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """64 KiB, of which an image takes about half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_an_image_survives_a_full_disk(disk: Path, monkeypatch: pytest.MonkeyPatch, is_seen_before: bool) -> None:
    ballast = disk / "ballast"

    async def work() -> None:
        # Images that wait go to the same disk: the worst case.
        async with camera(disk, spool_folder=str(disk / ".unsaved")) as found:
            await asyncio.to_thread(ballast.write_bytes, bytes(56 * 1024))
            if is_seen_before:
                status = await found.run("expose", seconds=0.0, image_type="zero")
                assert status["state"] == "FAILED" and "bytes left" in status["error"]
                assert found.link.asked == [], "nothing moves for an image that has no room"
                assert found.exposure.unsaved.value == 0
            # Other programs fill a disk in the middle of an exposure as well.
            monkeypatch.setattr(exposure_settings, "check_target", lambda *words: None)
            status = await found.run("expose", seconds=0.0, image_type="zero")
            assert status["state"] == "FAILED" and "No space left" in status["error"], status
            assert found.exposure.exposure_state.value is ExposureState.IDLE
            await until(lambda: found.exposure.unsaved.value == 1, "it is kept")
            left = await asyncio.to_thread(lambda: [each for each in os.listdir(disk) if each != ".unsaved"])
            assert left == ["ballast"]
            assert (await found.run("rescue"))["state"] == "FAILED"
            assert found.exposure.unsaved.value == 1

            await asyncio.to_thread(ballast.unlink)
            (rescued,) = (await found.done("rescue"))["files"]
            assert found.exposure.unsaved.value == 0
            with fits.open(rescued, checksum=True, memmap=False) as file:
                file.verify("exception")
                for amp in range(4):
                    np.testing.assert_array_equal(file[amp + 1].data[:, 0], 1000 * amp + np.arange(20))
            await asyncio.to_thread(Path(rescued).unlink)
            result = await found.done("expose", seconds=0.0, image_type="zero")
            assert Path(result["file"]).name == "a.0001.fits"

    asyncio.run(work())
