"""What each amplifier reads: from format, focal plane and window, by the rules of azcam's set_format and set_roi."""

from __future__ import annotations

from devices.pipelines.ccd.detector import AmpWindow, FocalPlane, Format, Geometry, Roi

#: Pixels of an image that nobody means: 16 detectors of 32k x 32k.
MOST_PIXELS = 1 << 34


def whole(format: Format, col_bin: int = 1, row_bin: int = 1) -> Roi:
    """The window that is everything, binned."""
    return Roi(1, format.columns, 1, format.rows, col_bin, row_bin)


def make_geometry(format: Format, focal_plane: FocalPlane, roi: Roi) -> Geometry:
    """What each amplifier reads of a window.

    Binning that does not divide the window leaves the rest unread, at the far end of each amplifier.

    Raises:
        ValueError: numbers that fit no detector, or each other; the text has name, value and bound.
    """
    _check_focal_plane(focal_plane)
    columns = _window(
        "col",
        (format.columns, format.serial_predark, format.serial_underscan, format.serial_overscan),
        (focal_plane.detectors_x, focal_plane.amps_x),
        (roi.first_col, roi.last_col, roi.col_bin),
    )
    rows = _window(
        "row",
        (format.rows, format.parallel_predark, format.parallel_underscan, format.parallel_overscan),
        (focal_plane.detectors_y, focal_plane.amps_y),
        (roi.first_row, roi.last_row, roi.row_bin),
    )
    _check("frame_transfer", format.frame_transfer, 0, format.rows)
    geometry = Geometry(format, focal_plane, roi, columns, rows)
    if geometry.pixels > MOST_PIXELS:
        raise ValueError(f"an image of {geometry.pixels} px is larger than {MOST_PIXELS} px")
    return geometry


def _window(
    axis: str, pixels: tuple[int, int, int, int], parts: tuple[int, int], window: tuple[int, int, int]
) -> AmpWindow:
    total, predark, underscan, overscan = pixels
    detectors, amps = parts
    first, last, binning = window
    _check(f"pixels of {axis}s", total, amps, MOST_PIXELS)
    for name, value in (("predark", predark), ("underscan", underscan), ("overscan", overscan)):
        _check(f"{axis} {name}", value, 0, MOST_PIXELS)
    if total % amps:
        raise ValueError(f"{total} {axis}s cannot be shared by {amps} amplifiers")
    visible, amps_of_detector = total // amps, amps // detectors
    _check(f"{axis}_bin", binning, 1, visible)
    _check(f"first_{axis}", first, 1, visible - binning + 1)
    skipped = first - 1
    # As azcam: over a mosaic the last pixel is shared by the detectors, but the first one is not.
    data = (last // detectors - skipped) // binning // amps_of_detector
    if not 1 <= data <= (visible - skipped) // binning:
        step = binning * amps_of_detector
        least, most = skipped + step, skipped + step * ((visible - skipped) // binning + 1) - 1
        bounds = f"[{least * detectors}, {min(most * detectors + detectors - 1, total)}]"
        raise ValueError(
            f"last_{axis} = {last} is outside {bounds}, with first_{axis} = {first}, {axis}_bin = {binning} "
            f"and {amps_of_detector} of {amps} amplifiers for each detector"
        )
    _check(f"last_{axis}", last, 1, total)
    under = min(predark // binning, underscan)
    before = predark - under * binning
    return AmpWindow(
        skip=skipped + (0 if under else before),
        underscan=under,
        data=data,
        post_skip=visible - skipped - data * binning,
        overscan=overscan,
        binning=binning,
        pre_skip=before if under else 0,
    )


def _check_focal_plane(plane: FocalPlane) -> None:
    for axis, detectors, amps in (("x", plane.detectors_x, plane.amps_x), ("y", plane.detectors_y, plane.amps_y)):
        _check(f"detectors_{axis}", detectors, 1, 64)
        _check(f"amps_{axis}", amps, detectors, 1024)
        if amps % detectors:
            raise ValueError(f"amps_{axis} = {amps} cannot be shared by {detectors} detectors")
    if len(plane.flips) != plane.amps:
        raise ValueError(f"there are {len(plane.flips)} flips for {plane.amps} amplifiers")
    for flip in plane.flips:
        _check("a flip of an amplifier", flip, 0, 3)
    if plane.positions and sorted(plane.positions) != [
        (x + 1, y + 1) for x in range(plane.amps_x) for y in range(plane.amps_y)
    ]:
        raise ValueError(
            f"positions = {plane.positions} are not each of the {plane.amps_x} x {plane.amps_y} places once"
        )


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} = {value} is outside [{least}, {most}]")
