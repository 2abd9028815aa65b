"""Which image files are complete, and those that nobody may miss."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from devices.drivers.image_folder import Version
from devices.saxs.folder_watch import changed_images
from servers.leash.feeder import MOST_ANNOUNCED, SettledFiles
from tests.support.running import until

SMALL, WHOLE = Version(1_400_682_300_000_000_000, 4096, 7), Version(1_400_682_300_250_000_000, 4_096_828, 7)


@pytest.fixture
def files() -> SettledFiles:
    found = SettledFiles(settled_s=0.3)
    found.changed(["img/a.tif"])
    return found


def looks(files: SettledFiles, *versions: tuple[float, Version | None]) -> list[list[str]]:
    return [list(files.complete(dict.fromkeys(files.changing, version), second)) for second, version in versions]


def test_a_file_is_complete_when_it_has_not_changed_for_a_while(files: SettledFiles) -> None:
    found = looks(files, (10.0, SMALL), (10.25, SMALL), (10.29, WHOLE), (10.55, WHOLE), (10.59, WHOLE))
    assert found == [[], [], [], [], ["img/a.tif"]]
    assert files.changing == []


def test_an_empty_file_is_never_complete(files: SettledFiles) -> None:
    empty = Version(SMALL.modified_ns, 0, 7)
    assert looks(files, (10.0, empty), (20.0, empty), (20.1, SMALL), (20.5, SMALL)) == [[], [], [], ["img/a.tif"]]


def test_a_file_that_was_removed_is_forgotten(files: SettledFiles) -> None:
    assert looks(files, (10.0, SMALL), (10.1, None)) == [[], []]
    assert files.changing == []


def test_a_version_is_announced_once_however_often_it_is_touched(files: SettledFiles) -> None:
    assert looks(files, (10.0, WHOLE), (10.5, WHOLE))[-1] == ["img/a.tif"]
    files.changed(["img/a.tif"])  # another mode: its version is the same
    assert looks(files, (11.0, WHOLE), (11.5, WHOLE)) == [[], []]
    files.changed(["img/a.tif"])
    replaced = Version(WHOLE.modified_ns, WHOLE.size, 8)
    assert looks(files, (12.0, replaced), (12.5, replaced))[-1] == ["img/a.tif"]


def test_a_beam_time_of_images_takes_bounded_memory() -> None:
    files = SettledFiles(settled_s=0.3)
    for number in range(0, 3 * MOST_ANNOUNCED, 1000):
        files.changed(f"img/{number + place}.tif" for place in range(1000))
        assert len(looks(files, (number, WHOLE), (number + 1.0, WHOLE))[-1]) == 1000
    assert len(files._announced) == MOST_ANNOUNCED


def test_an_image_in_a_folder_that_was_made_a_moment_ago_is_not_missed(tmp_path: Path) -> None:
    wanted = {str(tmp_path / f"run{number}" / "img" / "a.tif") for number in range(60)}

    def measure() -> None:
        for name in sorted(wanted):
            Path(name).parent.mkdir(parents=True)
            Path(name).write_bytes(b"II*\0")

    async def watch() -> set[str]:
        found: set[str] = set()
        watching = asyncio.Event()

        async def follow() -> None:
            async with contextlib.aclosing(changed_images(tmp_path)) as changes:
                async for paths in changes:
                    watching.set()
                    found.update(paths)

        task = asyncio.create_task(follow())
        await asyncio.wait_for(watching.wait(), 10.0)
        await asyncio.to_thread(measure)
        try:
            await until(lambda: found >= wanted, "all images are told", 10.0)
        finally:
            task.cancel()
            await asyncio.wait({task})
        return found

    assert asyncio.run(watch()) == wanted
