"""What headers say of an exposure itself."""

from __future__ import annotations

from datetime import UTC, datetime

from devices.ccd.header import GROUPS, Entry, Header, Value
from devices.ccd.plan import Exposure
from devices.pipelines.ccd.ccd_image import Card, Group


def exposure_entries(exposure: Exposure, lamps: tuple[str, ...]) -> dict[str, Entry | tuple[Value, str]]:
    """Times, type and title.

    Args:
        lamps: that burnt.
    """
    plan = exposure.plan
    began = datetime.fromtimestamp(exposure.began, UTC)
    local = began.astimezone()
    clock = began.isoformat(timespec="milliseconds").removesuffix("+00:00")
    ended = datetime.fromtimestamp(exposure.ended, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    offset = local.utcoffset()
    found: dict[str, Entry | tuple[Value, str]] = {
        "OBJECT": (plan.title, "title of the image"),
        "IMAGETYP": (plan.image_type.keyword, "type of the image"),
        "EXPREQ": (plan.seconds, "[s] exposure time that was asked for"),
        "EXPTIME": (round(exposure.exposure_time, 6), "[s] exposure time"),
        "DARKTIME": (round(exposure.dark_time, 6), "[s] from the begin of the exposure to its read-out"),
        "DATE-OBS": (clock, "begin of the exposure, UTC"),
        "DATE-END": (ended, "end of the exposure, UTC"),
        "DATE": (datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00"), "this header was made, UTC"),
        "MJD-OBS": (round(exposure.began / 86400.0 + 40587.0, 8), "[d] modified Julian date of DATE-OBS"),
        "TIMESYS": ("UTC", "time scale of all times"),
        "UT": (clock[11:], "UTC at the begin of the exposure"),
        "UTC-OBS": (clock[11:], "UTC at the begin of the exposure"),
        "TIME-OBS": (clock[11:], "UTC at the begin of the exposure"),
        "LOCTIME": (local.strftime("%H:%M:%S"), "local time at the begin of the exposure"),
        "TIMEZONE": ((0.0 if offset is None else offset.total_seconds()) / 3600.0, "[h] local time - UTC"),
    }
    if lamps:
        found["COMPLAMP"] = (" ".join(lamps), "comparison lamps")
    if exposure.paused:
        found["PAUSED"] = (round(exposure.paused, 3), "[s] that the exposure was paused")
    return found


def in_order(groups: dict[str, Group]) -> tuple[Group, ...]:
    """The tools' keywords in the order that readers of such files know; empty ones are left out."""
    return tuple(groups[name] for name in GROUPS if name in groups and groups[name].cards)


def as_group(title: str, header: Header) -> Group:
    """The keywords of one tool, comments last."""
    cards = [Card(name, entry.value, entry.comment) for name, entry in header]
    cards += [Card("COMMENT", text) for text in header.comments]
    return Group(title, tuple(cards))


def focal_plane_group(exposure: Exposure) -> Group:
    """The group ``focalplane``."""
    plane, setup = exposure.plan.setup.focal_plane, exposure.plan.setup
    middle = (setup.format.columns + 1) / 2, (setup.format.rows + 1) / 2
    x, y = middle if setup.reference_pixel == (0.0, 0.0) else setup.reference_pixel
    return Group(
        "focalplane",
        (
            Card("N-AMPS-X", plane.amps_x, "amplifiers along columns"),
            Card("N-AMPS-Y", plane.amps_y, "amplifiers along rows"),
            Card("N-DET-X", plane.detectors_x, "detectors along columns"),
            Card("N-DET-Y", plane.detectors_y, "detectors along rows"),
            Card("REF-PIX1", x, "[px] column of the reference pixel"),
            Card("REF-PIX2", y, "[px] row of the reference pixel"),
        ),
    )
