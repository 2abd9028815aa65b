"""The names of image files."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_NUMBER: Final = 999_999_999


class FileType(enum.Enum):
    """What is written of an image."""

    FITS = "FITS"
    MEF = "MEF"
    BIN = "BIN"
    ASM = "ASM"

    @property
    def extension(self) -> str:
        return "bin" if self is FileType.BIN else "fits"


@dataclass(frozen=True)
class FileName:
    """The next image's name: folder/root[.TYPE.][number].extension.

    Attributes:
        has_type: the type of the image, in capitals, is part of the name (azcam's autoname).
        has_number: the number, at least four digits, is.
    """

    folder: Path
    root: str
    number: int
    file_type: FileType
    has_type: bool = False
    has_number: bool = True

    def path(self, image_type: str, *, is_test: bool = False) -> Path:
        """Where an image of this type goes; a test image is always test.EXTENSION."""
        extension = self.file_type.extension
        if is_test:
            return self.folder / f"test.{extension}"
        middle = f".{image_type.upper()}." if self.has_type else ""
        digits = f"{self.number:04d}" if self.has_number else ""
        name = f"{self.root}{middle}{digits}.{extension}"
        while ".." in name:
            name = name.replace("..", ".")
        return self.folder / name


def folder_and_root(filename: str) -> tuple[str, str]:
    """What `set_filename` takes of a path: its folder, and its name up to the first point.

    Raises:
        ValueError: there is no name.
    """
    folder, _, name = filename.replace("\\", "/").rpartition("/")
    root = name.partition(".")[0]
    if not root:
        raise ValueError(f"filename = {filename!r} has no name in it")
    return folder, root


def check_root(root: str) -> None:
    """Refuse a root that would lead to another folder, or that no disk takes.

    Raises:
        ValueError: with the text.
    """
    if "/" in root or "\\" in root or not root.isprintable() or len(root.encode()) > 200 or root.startswith(".."):
        raise ValueError(f"root = {root!r} is not the beginning of a file name (at most 200 bytes, no / and no \\)")
