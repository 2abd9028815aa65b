"""Paths are judged by where they lead, not by how they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.core.errors import BadValueError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.detector_image import read_detector_image


@pytest.fixture
def allowed(tmp_path: Path) -> AllowedFolders:
    for name in ("images", "images2", "more/deep", "outside"):
        (tmp_path / name).mkdir(parents=True)
    return AllowedFolders([tmp_path / "images", tmp_path / "more"])


def test_relative_paths_start_in_the_first_folder(allowed: AllowedFolders, tmp_path: Path) -> None:
    assert allowed.resolve("a.tif") == tmp_path / "images" / "a.tif"
    assert allowed.resolve("../more/deep/a.tif") == tmp_path / "more" / "deep" / "a.tif"
    assert allowed.resolve(tmp_path / "more" / "a.tif") == tmp_path / "more" / "a.tif"


@pytest.mark.parametrize("path", ["../outside/a.tif", "../images2/a.tif", "/etc/passwd", "..", "deep/../../x", "/"])
def test_what_leads_outside_is_refused_with_path_and_folders(allowed: AllowedFolders, path: str) -> None:
    with pytest.raises(NotAllowedError) as refused:
        allowed.resolve(path)
    assert path in str(refused.value)
    for folder in allowed.folders:
        assert str(folder) in str(refused.value)


def test_a_link_is_followed_before_it_is_judged(allowed: AllowedFolders, tmp_path: Path) -> None:
    secret = tmp_path / "outside" / "secret.tif"
    secret.write_bytes(b"x")
    for link, target in (("file.tif", secret), ("folder", secret.parent), ("hop.tif", Path("file.tif"))):
        (tmp_path / "images" / link).symlink_to(target)
    for path in ("file.tif", "folder/secret.tif", "hop.tif", tmp_path / "images" / "file.tif"):
        with pytest.raises(NotAllowedError, match=f"leads to {secret}, outside"):
            allowed.resolve(path)


def test_an_allowed_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to("disk")
    assert AllowedFolders([tmp_path / "data"]).resolve("a.tif") == tmp_path / "disk" / "a.tif"


def test_links_that_turn_in_circles_are_no_file(allowed: AllowedFolders, tmp_path: Path) -> None:
    (tmp_path / "images" / "a.tif").symlink_to("b.tif")
    (tmp_path / "images" / "b.tif").symlink_to("a.tif")
    with pytest.raises(BadValueError, match="symbolic links"):
        read_detector_image(allowed.resolve("a.tif"))


def test_the_root_allows_every_path(tmp_path: Path) -> None:
    assert AllowedFolders([tmp_path, Path("/")]).resolve("/etc/hostname").is_absolute()
