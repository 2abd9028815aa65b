"""The headers of detector images: what the detector noted beside the pixels, without reading these."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import tifffile

from devices.core.errors import BadValueError, ProtocolError

MAX_HEADER_BYTES: Final = 1 << 20
#: Headers of CBF and EDF end long before.
_HEAD_BYTES: Final = 1 << 16
TIFF_MAGIC: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
CBF_SECTION: Final = b"--CIF-BINARY-FORMAT-SECTION--"
_TIME_FORMATS: Final = ("%Y:%m:%d %H:%M:%S", "%Y/%b/%d %H:%M:%S.%f", "%Y/%b/%d %H:%M:%S", "%a %b %d %H:%M:%S %Y")
_STARTS: Final = ("date", "time", "timeofday")
_EXPOSURES: Final = ("exposuretime", "counttime", "acqexpotime")


@dataclass(frozen=True)
class ImageHeader:
    """What an image says of itself.

    Args:
        entries: as text, by their names.
        exposure_seconds: None when the file does not say.
        started: when the exposure began, by a date among the entries; without a zone, as detectors write it.
        written: when the file was written, after the exposure: the date of a TIFF file.
    """

    entries: Mapping[str, str]
    exposure_seconds: float | None = None
    started: datetime | None = None
    written: datetime | None = None


def read_image_header(path: str | Path) -> ImageHeader:
    """The header of a TIFF, CBF or EDF file.

    Raises:
        BadValueError: there is no such file. ProtocolError: it is no such file.
    """
    try:
        # Asked for before the file is opened: to open a pipe is to wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadValueError(f"{path} is not a plain file")
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise BadValueError(f"{path} cannot be read: {error.strerror}") from error
    written = None
    try:
        if head[:4] in TIFF_MAGIC:
            text, date = _tiff_texts(path)
            entries, written = comments(text), parse_date(date)
        elif head.startswith(b"###CBF") or CBF_SECTION in head:
            entries = comments(head.partition(CBF_SECTION)[0].decode("latin-1"))
        elif head[:64].lstrip()[:1] == b"{":
            entries = edf_entries(head)
        else:
            raise ValueError(f"it starts with {head[:8]!r}")
    # A parser on foreign bytes may raise anything: here it all means the same, and the reason goes along.
    except Exception as error:
        raise ProtocolError(f"{path}: not a readable TIFF, CBF or EDF image: {error}") from error
    fields = folded(entries)
    dates = (parse_date(fields.get(key)) for key in _STARTS)
    return ImageHeader(
        entries=entries,
        exposure_seconds=exposure_of(fields),
        started=next((date for date in dates if date is not None), None),
        written=written,
    )


def comments(text: str) -> dict[str, str]:
    """The entries `# Key value`, `# Key: value`, `# Key = value` that PILATUS detectors write; a date is `Date`."""
    header: dict[str, str] = {}
    for line in re.findall(r"^#(?!#)[ \t]*(.*?)\s*$", text, re.MULTILINE):
        if re.match(r"\d{4}[-/:]\w{2,3}[-/:]\d\d[T ]", line):
            header["Date"] = line
        elif entry := re.match(r"([^\s:=,]+)[\s:=,]*(.*)", line):
            header[entry[1]] = entry[2]
    return header


def edf_entries(data: bytes) -> dict[str, str]:
    """The entries of an EDF header.

    Raises:
        ValueError: it has no end.
    """
    end = re.search(rb"}\r?\n", data[:MAX_HEADER_BYTES])
    if end is None:
        raise ValueError("the header has no end")
    text = data[: end.start()].decode("latin-1").lstrip().removeprefix("{")
    parts = (entry.partition("=") for entry in text.split(";"))
    return {key.strip(): value.strip() for key, separator, value in parts if separator}


def measured(entries: Mapping[str, str]) -> dict[str, str]:
    """The entries with the units at their names: ``Exposure_time 10.0 s`` is ``Exposure_time [s]``, ``10.0``."""
    found = {}
    for key, value in entries.items():
        number = re.match(r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)(?:\s+(\S+))?(?=\s|$)", value, re.ASCII)
        if number is None:
            found[key] = value
        else:
            found[f"{key} [{number[2]}]" if number[2] else key] = number[1]
    return found


def folded(entries: Mapping[str, str]) -> dict[str, str]:
    """The entries with names that do not depend on case and underscores."""
    return {key.lower().replace("_", ""): value for key, value in entries.items()}


def exposure_of(fields: Mapping[str, str]) -> float | None:
    """The exposure time in folded entries, s."""
    found = (leading_number(fields.get(key)) for key in _EXPOSURES)
    return next((seconds for seconds in found if seconds is not None), None)


def leading_number(text: str | None) -> float | None:
    """The number >= 0 that a text begins with."""
    number = re.match(r"\d+(\.\d*)?([eE][-+]?\d{1,3})?(?=\s|$)", text or "")
    value = float(number[0]) if number else float("nan")
    return value if value < float("inf") else None


def parse_date(text: str | None) -> datetime | None:
    """A date as detectors spell it, or s since 1970; with a zone only when it names one. None when it is no date."""
    if not text:
        return None
    seconds = leading_number(text)
    if seconds is not None and seconds > 1e8:
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(seconds, UTC)
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text)
    for time_format in _TIME_FORMATS:
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.strptime(text, time_format)
    return None


def _tiff_texts(path: str | Path) -> tuple[str, str]:
    """Description and date of the first frame."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        found = (page.tags.get(name) for name in ("ImageDescription", "DateTime"))
        description, date = ("" if tag is None or tag.count > MAX_HEADER_BYTES else str(tag.value) for tag in found)
        return description, date
