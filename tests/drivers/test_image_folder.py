"""Which images of a folder are new and complete, over real files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from devices.core.errors import NotConnectedError
from devices.drivers.image_folder import ImageFolder


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """A folder that has been looked at once, when it was empty."""
    made = ImageFolder(tmp_path, attempts=3)
    assert look(made) == []
    return made


def look(folder: ImageFolder) -> Sequence[Path]:
    return folder.compare(folder.look())


def names(paths: Sequence[Path]) -> list[str]:
    return [path.name for path in paths]


def write(folder: ImageFolder, name: str, content: bytes = b"frame", at: int = 0) -> Path:
    path = folder.folder / name
    path.write_bytes(content)
    if at:
        os.utime(path, (at, at))
    return path


def test_a_file_is_handed_out_once_when_two_looks_find_it_unchanged(folder: ImageFolder) -> None:
    write(folder, "a.tif")
    assert [names(look(folder)) for _ in range(4)] == [[], ["a.tif"], [], []]


def test_a_growing_file_is_not_complete(folder: ImageFolder) -> None:
    for length in (1, 20, 300):
        write(folder, "a.tif", b"x" * length)
        assert look(folder) == []
    assert names(look(folder)) == ["a.tif"]


def test_an_empty_file_is_not_complete(folder: ImageFolder) -> None:
    write(folder, "a.tif", b"")
    assert [look(folder) for _ in range(3)] == [[], [], []]
    write(folder, "a.tif")
    assert [names(look(folder)) for _ in range(2)] == [[], ["a.tif"]]


def test_a_file_that_replaces_another_is_new(folder: ImageFolder) -> None:
    write(folder, "a.tif", at=1000)
    look(folder), look(folder)
    write(folder, "b.part", at=1000)  # same size, same time
    os.replace(folder.folder / "b.part", folder.folder / "a.tif")
    assert [names(look(folder)) for _ in range(2)] == [[], ["a.tif"]]


def test_of_the_files_found_at_the_start_only_the_newest_is_handed_out(tmp_path: Path) -> None:
    folder = ImageFolder(tmp_path, attempts=3)
    for name, at in (("a.tif", 3000), ("b.tif", 1000), ("c.tif", 2000)):
        write(folder, name, at=at)
    assert [names(look(folder)) for _ in range(3)] == [[], ["a.tif"], []]


def test_images_come_oldest_first(folder: ImageFolder) -> None:
    for name, at in (("a.tif", 3000), ("b.cbf", 1000), ("c.EDF", 2000), ("d.tiff", 2000)):
        write(folder, name, at=at)
    look(folder)
    found = names(look(folder))
    assert found[0] == "b.cbf" and found[-1] == "a.tif" and sorted(found[1:3]) == ["c.EDF", "d.tiff"]


def test_only_image_files_count(folder: ImageFolder) -> None:
    for name in ("calibration.json", "mask.msk", ".hidden.tif", "a.tif.part"):
        write(folder, name)
    (folder.folder / "folder.tif").mkdir()
    os.mkfifo(folder.folder / "pipe.tif")
    (folder.folder / "nowhere.tif").symlink_to("missing.tif")
    assert [look(folder) for _ in range(3)] == [[], [], []]


def test_a_failed_file_is_handed_out_again_as_often_as_said(folder: ImageFolder) -> None:
    path = write(folder, "a.tif")
    look(folder)
    for more in (True, True, False):
        assert look(folder) == [path]
        assert folder.failed(path) is more
    assert look(folder) == []
    path.write_bytes(b"written to the end at last")
    assert [look(folder) for _ in range(2)] == [[], [path]]
    assert folder.failed(path), "a new version has its own attempts"


def test_an_interrupted_file_has_not_used_up_an_attempt(folder: ImageFolder) -> None:
    path = write(folder, "a.tif")
    look(folder)
    for _ in range(5):
        assert look(folder) == [path]
        folder.interrupted(path)
    assert look(folder) == [path]
    assert folder.failed(path)


def test_a_file_that_is_gone_is_forgotten(folder: ImageFolder) -> None:
    path = write(folder, "a.tif")
    look(folder), look(folder)
    path.unlink()
    look(folder)
    assert not folder.failed(path)
    folder.interrupted(path)
    assert look(folder) == []


def test_a_missing_folder_is_named_and_found_when_it_appears(tmp_path: Path) -> None:
    folder = ImageFolder(tmp_path / "later", attempts=3)
    with pytest.raises(NotConnectedError, match=f"{tmp_path}/later cannot be read: No such file"):
        folder.look()
    folder.folder.mkdir()
    assert folder.look() == {}
