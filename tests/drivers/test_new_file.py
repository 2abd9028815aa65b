"""Files that appear whole: no half ones, no replaced ones, nothing left behind when the disk is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devices.core.errors import BadValueError, StorageError
from devices.drivers.new_file import NewFile

#: Writes 12 MB in chunks to argv[1] under a limit of argv[2] bytes for a file; prints the error.
PROGRAM = """
import resource, signal, sys
import numpy as np
from devices.core.errors import StorageError
from devices.drivers.ccd_fits import write_image
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.detector import FocalPlane, Format
from devices.pipelines.ccd.geometry import make_geometry, whole

format = Format(2000, 0, 0, 0, 3000)
geometry = make_geometry(format, FocalPlane(1, 1, 2, 1, (0, 1)), whole(format))
image = CcdImage(np.ones(geometry.amp_shape, np.uint16), geometry)
if limit := int(sys.argv[2]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for compress in (False, True):
    if compress:
        image.amps[:] = np.random.default_rng(1).integers(0, 65536, geometry.amp_shape)
    try:
        write_image(sys.argv[1], image, compress=compress)
    except StorageError as error:
        print(error)
"""


def write(path: Path, content: bytes, overwrite: bool = False) -> None:
    with NewFile(path, overwrite) as file:
        half = file.write(content[: len(content) // 2], 0)
        file.write(content[len(content) // 2 :], half)


def test_a_file_has_no_name_until_it_is_whole_and_then_no_other(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    with NewFile(path) as file:
        file.write(b"behind", 3)
        file.write(b"the", 0)
        assert not path.exists()
    assert path.read_bytes() == b"thebehind"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_nlink == 1


def test_a_file_of_the_same_name_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    write(path, b"first")
    with pytest.raises(BadValueError, match=r"image.fits exists already"):
        write(path, b"second")
    assert path.read_bytes() == b"first"
    write(path, b"third", overwrite=True)
    assert path.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_is_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "image.fits").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadValueError, match="exists already"):
        write(tmp_path / "image.fits", b"x")


@pytest.mark.parametrize("has_links", [True, False])
def test_of_many_writers_that_want_a_name_one_gets_it(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, start, got = tmp_path / "image.fits", threading.Barrier(8), []
    if not has_links:  # as on vfat

        def link(*_: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)

    def one(number: int) -> None:
        try:
            with NewFile(path) as file:
                file.write(bytes([number]) * 100_000, 0)
                start.wait(10.0)
            got.append(number)
        except BadValueError:
            pass

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert len(got) == 1
    assert path.read_bytes() == bytes(got) * 100_000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [False, True])
def test_who_fails_while_writing_leaves_nothing_and_takes_nothing_away(overwrite: bool, tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    if overwrite:
        write(path, b"old")
    with pytest.raises(ZeroDivisionError), NewFile(path, overwrite) as file:
        file.write(b"half", 0)
        _ = 1 / 0
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([b"old"] if overwrite else [])


def run_program(path: Path, limit_bytes: int) -> list[str]:
    words = [sys.executable, "-c", PROGRAM, str(path), str(limit_bytes)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, cwd=Path(__file__).parents[2])
    return done.stdout.splitlines()


def test_a_file_that_may_not_become_so_large_is_an_error_and_is_gone(tmp_path: Path) -> None:
    """12 MB, plain and compressed, where 5 MB are allowed."""
    lines = run_program(tmp_path / "a.fits", 5_000_000)
    assert lines == [f"{tmp_path / 'a.fits'} cannot be written: File too large"] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here (it takes root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_an_error_and_has_its_room_again(small_disk: Path) -> None:
    lines = run_program(small_disk / "a.fits", 0)
    assert lines == [f"{small_disk / 'a.fits'} cannot be written: No space left on device"] * 2
    assert list(small_disk.iterdir()) == []
    write(small_disk / "b.fits", bytes(3_000_000))
    assert (small_disk / "b.fits").stat().st_size == 3_000_000


def test_a_folder_that_goes_away_meanwhile_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    with (
        pytest.raises(StorageError, match="cannot be written: No such file or directory"),
        NewFile(folder / "a") as file,
    ):
        file.write(b"x", 0)
        folder.rename(tmp_path / "moved")
