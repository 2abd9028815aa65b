"""Files of CCD images, read by astropy: pixels, keywords, sums, and the sky at the seams of the amplifiers."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.core.errors import BadValueError, StorageError
from devices.drivers.ccd_fits import KINDS, Kind, write_image
from devices.pipelines.ccd.ccd_image import Card, CcdImage, Group, Measurements
from devices.pipelines.ccd.deinterlace import assembled
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry, Roi
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.sections import amp_axes
from devices.pipelines.ccd.wcs import Placement, Sky

fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
WCS = pytest.importorskip("astropy.wcs", reason="astropy is not installed").WCS

QUAD = FocalPlane(1, 1, 2, 2, (0, 1, 2, 3))
SKY = Sky(150.0, 41.0, (61.0, 44.5), (-0.4, 0.4), 12.0)


@pytest.fixture(autouse=True)
def astropy_warns_of_nothing() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def quad(dtype: Any = np.uint16, roi: Roi | None = None, **more: Any) -> CcdImage:
    """Four amplifiers of 60 columns and 45 rows, 7 columns of underscan, 11 of overscan, 2 rows of overscan."""
    format = Format(120, 7, 7, 11, 90, 0, 0, 2)
    return an_image(make_geometry(format, QUAD, roi or whole(format)), dtype, **more)


def an_image(geometry: Geometry, dtype: Any = np.uint16, **more: Any) -> CcdImage:
    limits = np.iinfo(dtype)
    amps = np.random.default_rng(5).integers(limits.min, limits.max, geometry.amp_shape, dtype, endpoint=True)
    return CcdImage(amps, geometry, **more)


def opened(path: Path) -> list[Any]:
    """All units, their sums and their form checked."""
    with fits.open(path, checksum=True, memmap=False) as units:
        units.verify("exception")
        for unit in units:
            _ = unit.data
        return list(units)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.int32])
@pytest.mark.parametrize("compress", [False, True])
def test_each_amplifier_is_an_extension_in_the_order_of_reading(dtype: Any, compress: bool, tmp_path: Path) -> None:
    image = quad(dtype)
    write_image(tmp_path / "a.fits", image, "MEF", compress=compress)
    primary, *units = opened(tmp_path / "a.fits")
    assert [unit.name for unit in units] == ["IM1", "IM2", "IM3", "IM4"]
    for unit, amp in zip(units, image.amps, strict=True):
        assert unit.data.dtype.kind == np.dtype(dtype).kind
        np.testing.assert_array_equal(unit.data, amp)
    assert primary.header["NEXTEND"] == 4
    assert [each.name for each in tmp_path.iterdir()] == ["a.fits"]


@pytest.mark.parametrize(("kind", "trim"), [("FITS", False), ("ASM", True)])
@pytest.mark.parametrize("compress", [False, True])
def test_a_picture_shows_all_amplifiers_as_they_are(kind: Kind, trim: bool, compress: bool, tmp_path: Path) -> None:
    image = quad(primary=(Group("exposure", (Card("OBJECT", "M 51"),)),))
    write_image(tmp_path / "a.fits", image, kind, compress=compress)
    units = opened(tmp_path / "a.fits")
    np.testing.assert_array_equal(units[-1].data, assembled(image.amps, image.geometry, trim))
    assert units[-1].data.shape == ((90, 120) if trim else (94, 156))
    assert units[0].header["OBJECT"] == "M 51"


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_pixels_alone_are_little_endian_rows(dtype: Any, tmp_path: Path) -> None:
    image = quad(dtype)
    write_image(tmp_path / "a.bin", image, "BIN", compress=True)
    stored = np.fromfile(tmp_path / "a.bin", np.dtype(dtype).newbyteorder("<")).reshape(94, 156)
    np.testing.assert_array_equal(stored, assembled(image.amps, image.geometry, trim=False))


def test_odd_numbers_of_pixels_and_large_images_have_right_sums_too(tmp_path: Path) -> None:
    """More than one chunk of 2^19 pixels with one left over; bands of a picture with an odd number of rows."""
    format = Format(1 * 1001, 0, 0, 0, 1003)
    image = an_image(make_geometry(format, FocalPlane(), whole(format)))
    for kind in KINDS[:2]:
        write_image(tmp_path / f"{kind}.fits", image, kind)
        np.testing.assert_array_equal(opened(tmp_path / f"{kind}.fits")[-1].data, image.amps[0])


def test_the_keywords_of_the_tools_stand_below_banners_in_order_and_sorted(tmp_path: Path) -> None:
    groups = (
        Group("exposure", (Card("OBJECT", "a"), Card("EXPTIME", 2.5, "s"), Card("COMMENT", "thin clouds"))),
        Group("telescope", (Card("RA", "10:00:00.0"), Card("FILENAME", "shown.fits"), Card("AIRMASS", float("nan")))),
        Group("empty", ()),
    )
    write_image(tmp_path / "a.fits", quad(primary=groups, sky=SKY))
    header = opened(tmp_path / "a.fits")[0].header
    keywords = [card.keyword for card in header.cards]
    assert keywords[:11] == [
        "SIMPLE", "BITPIX", "NAXIS", "EXTEND", "NEXTEND", "DETSIZE", "CCDSUM", "CCDBIN1", "CCDBIN2", "FILENAME",
        "NCCDS",
    ]  # fmt: skip
    comments = [str(comment) for comment in header["COMMENT"] if "=" not in str(comment)]
    assert comments == ["exposure", "thin clouds", "telescope", "focalplane"]
    assert keywords.index("EXPTIME") < keywords.index("OBJECT") < keywords.index("AIRMASS") < keywords.index("RA")
    assert header["FILENAME"] == "shown.fits"
    assert header["AIRMASS"] is None
    assert (header["N-AMPS-X"], header["NUM-DETY"], header["AZCAM-HEAD"], header["REF-PIX1"]) == (2, 1, "OK", 61.0)
    assert header.comments["EXPTIME"] == "s"


def test_the_camera_says_more_of_an_amplifier_and_replaces_its_name(tmp_path: Path) -> None:
    extensions = ((Card("GAIN", 2.1, "e-/adu"), Card("RDNOISE", 4.4), Card("EXTNAME", "A1"), Card("HISTORY", "warm")),)
    write_image(tmp_path / "a.fits", quad(extensions=extensions))
    _, first, second, *_ = opened(tmp_path / "a.fits")
    assert (first.name, first.header["GAIN"], first.header["RDNOISE"]) == ("A1", 2.1, 4.4)
    assert list(first.header["HISTORY"]) == ["warm"]
    assert (second.name, "GAIN" in second.header) == ("IM2", False)


@pytest.mark.parametrize(
    "value",
    ["", "it's", "x" * 68, "'" * 90, "long " * 60, "a" * 66 + "''b", True, 0, -(2**40), 1e-7, 1.0, -2.5e300, 12345.678],
)
def test_values_come_back_as_they_were(value: Any, tmp_path: Path) -> None:
    cards = (Card("THING", value, "of use"), *((Card("A-LONG-KEYWORD", value, "?"),) if len(str(value)) < 50 else ()))
    write_image(tmp_path / "a.fits", quad(primary=(Group("tool", cards),)))
    header = opened(tmp_path / "a.fits")[0].header
    expected = value.rstrip() if isinstance(value, str) else value
    assert header["THING"] == expected
    assert type(header["THING"]) is type(value)
    if len(cards) == 2:
        assert header["A-LONG-KEYWORD"] == expected


def test_what_fits_cannot_say_is_said_as_well_as_it_can_and_bad_keywords_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.fits", quad(primary=(Group("t", (Card("OBJECT", "α Cen\n", "c" * 90),)),)))
    assert opened(tmp_path / "a.fits")[0].header["OBJECT"] == "? Cen?"
    for keyword, message in (
        ("NAXIS1", "describes the pixels"),
        ("bad.key", "not one of FITS"),
        ("", "not one of FITS"),
    ):
        with pytest.raises(BadValueError, match=message):
            write_image(tmp_path / "b.fits", quad(primary=(Group("t", (Card(keyword, 1),)),)))
    assert [each.name for each in tmp_path.iterdir()] == ["a.fits"]


def test_the_numbers_of_a_window_binned_by_two_on_a_flipped_amplifier_by_hand(tmp_path: Path) -> None:
    """Columns 21 to 100 and rows 11 to 80: of amplifier 4, read from the upper right, mosaic columns 100 to 61."""
    write_image(tmp_path / "a.fits", quad(roi=Roi(21, 100, 11, 80, 2, 5), sky=SKY))
    header = opened(tmp_path / "a.fits")[4].header
    expected = {
        "NAXIS1": 3 + 20 + 11,
        "NAXIS2": 7 + 2,
        "DETSIZE": "[1:120,1:90]",
        "CCDSIZE": "[1:120,1:90]",
        "CCDSUM": "2 5",
        "DATASEC": "[4:23,1:7]",
        "TRIMSEC": "[4:23,1:7]",
        "BIASSEC": "[24:34,1:7]",
        "DETSEC": "[100:61,80:46]",
        "CCDSEC": "[100:61,80:46]",
        "CCDSEC1": "[50:31,16:10]",
        "AMPSEC": "[21:60,11:45]",
        "OVRSCAN1": 11,
        "OVRSCAN2": 2,
        "PRESCAN1": 3,
        "PRESCAN2": 0,
        "LTM1_1": -0.5,
        "LTM2_2": -0.2,
        # The first binned column covers 100 and 99: 4 = -99.5 / 2 + LTV1; the first row 80 to 76: 1 = -78 / 5 + LTV2.
        "LTV1": 53.75,
        "LTV2": 16.6,
        "ATM1_1": -1,
        "ATV1": 121,
        "ATM2_2": -1,
        "ATV2": 91,
        "DTM1_1": 1,
        "DTV1": 0,
        # Reference pixel (61, 44.5).
        "CRPIX1": 53.75 - 30.5,
        "CRPIX2": 16.6 - 8.9,
        "AMP-CFG": 3,
        "AMP-PIX1": 120,
        "AMP-PIX2": 90,
        "EXT-POSX": 2,
        "EXT-POSY": 2,
        "DET-NUM": 1,
        "CCDNAME": "ccd1",
        "IMAGEID": 4,
    }
    assert {key: header[key] for key in expected} == {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in expected.items()
    }
    assert "BIASSEC" not in opened_without_overscan(tmp_path)


def opened_without_overscan(tmp_path: Path) -> Any:
    format = Format(20, 0, 0, 0, 10)
    write_image(tmp_path / "none.fits", an_image(make_geometry(format, FocalPlane(), whole(format))))
    return opened(tmp_path / "none.fits")[1].header


# The sky. A point between two pixels of different amplifiers has to be the same point, whichever header is asked.

MOSAIC = FocalPlane(2, 2, 4, 2, (0, 1, 2, 3, 3, 0, 1, 2))
PLACEMENTS = (
    Placement(0.0, 0.0), Placement(20.25, -3.0, 0.4), Placement(1.5, 33.0, -0.2), Placement(21.0, 31.0, 180.0),
)  # fmt: skip
CASES = [
    pytest.param(QUAD, Roi(1, 120, 1, 90), SKY, id="whole"),
    pytest.param(QUAD, Roi(21, 100, 11, 80), SKY, id="window"),
    pytest.param(QUAD, Roi(21, 100, 11, 80, 4, 5), SKY, id="window binned"),
    pytest.param(QUAD, Roi(1, 120, 1, 90, 7, 4), SKY, id="binned with a rest"),
    pytest.param(FocalPlane(1, 1, 2, 2, (3, 2, 1, 0)), Roi(4, 110, 7, 84, 3, 2), SKY, id="read from the middle"),
    pytest.param(MOSAIC, Roi(1, 240, 1, 90, 1, 1), SKY, id="mosaic"),
    pytest.param(
        MOSAIC, Roi(5, 230, 3, 88, 2, 3), Sky(9.0, -60.0, (130.0, 60.0), (0.3, 0.5), -40.0, placements=PLACEMENTS),
        id="mosaic with gaps",
    ),
    pytest.param(
        MOSAIC, Roi(5, 230, 3, 88, 2, 3), Sky(9.0, 10.0, axes=("DEC--TAN", "RA---TAN")), id="declination first"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plane", "roi", "sky"), CASES)
def test_every_amplifier_puts_a_pixel_of_the_detector_at_the_same_place_of_the_sky(
    plane: FocalPlane, roi: Roi, sky: Sky, tmp_path: Path
) -> None:
    format = Format(60 * plane.amps_x, 7, 7, 11, 45 * plane.amps_y, 3, 2, 2)
    image = an_image(make_geometry(format, plane, roi), sky=sky)
    write_image(tmp_path / "a.fits", image)
    worlds = [WCS(unit.header) for unit in opened(tmp_path / "a.fits")[1:]]
    axes = [amp_axes(image.geometry, amp) for amp in range(plane.amps)]
    checked = 0
    for one, other in itertools.combinations(range(plane.amps), 2):
        if plane.detector(one) != plane.detector(other):
            continue
        checked += 1
        # Corners and middle of the first one's data, unbinned pixels of the mosaic.
        for u, v in itertools.product((0.0, 0.5, 1.0), repeat=2):
            x, y = (begin + f * (end - begin) for f, (begin, end) in zip((u, v), map(span, axes[one]), strict=True))
            point = worlds[one].wcs_pix2world([file_pixel(axes[one], x, y)], 1)
            back = worlds[other].wcs_world2pix(point, 1)[0]
            # Back to unbinned pixels of the mosaic, in which 0.01 is asked for.
            np.testing.assert_allclose(
                [mosaic_pixel(axis, float(pixel)) for axis, pixel in zip(axes[other], back, strict=True)],
                (x, y),
                atol=0.01,
            )
    assert checked >= 4
    ask_truth(image, sky, worlds, axes)


def ask_truth(image: CcdImage, sky: Sky, worlds: list[Any], axes: list[Any]) -> None:
    """The tangent plane by hand: the offset of the gaps, the turn of a detector, the scale, the turn of the sky."""
    plane = image.geometry.focal_plane
    width, height = image.geometry.format.columns / plane.detectors_x, image.geometry.format.rows / plane.detectors_y
    for amp in range(plane.amps):
        column, row = plane.detector(amp)
        given = sky.placements[row * plane.detectors_x + column] if sky.placements else Placement()
        x, y = (span(axis)[0] for axis in axes[amp])
        cx, cy = (column + 0.5) * width + 0.5, (row + 0.5) * height + 0.5
        turn = np.exp(1j * np.radians(given.rotation_degrees))
        place = turn * complex(x - cx, y - cy) + complex(cx + given.x, cy + given.y)
        off = place - complex(*sky.reference_pixel)
        scaled = complex(off.real * sky.scale_arcsec[0], off.imag * sky.scale_arcsec[1])
        tangent = scaled * np.exp(1j * np.radians(sky.rotation_degrees))
        world = worlds[amp].wcs_pix2world([file_pixel(axes[amp], x, y)], 1)[0]
        ra, dec = reversed(world) if sky.axes[0].startswith("DEC") else world
        xi, eta = (tangent.imag, tangent.real) if sky.axes[0].startswith("DEC") else (tangent.real, tangent.imag)
        assert gnomonic(ra, dec, sky) == pytest.approx((xi, eta), abs=0.003)


def gnomonic(ra: float, dec: float, sky: Sky) -> tuple[float, float]:
    """Of a point, arcsec from the centre of the projection."""
    a, d, d0 = np.radians(ra - sky.ra_degrees), np.radians(dec), np.radians(sky.dec_degrees)
    cosine = np.sin(d) * np.sin(d0) + np.cos(d) * np.cos(d0) * np.cos(a)
    xi = np.cos(d) * np.sin(a) / cosine
    eta = (np.sin(d) * np.cos(d0) - np.cos(d) * np.sin(d0) * np.cos(a)) / cosine
    return float(np.degrees(xi) * 3600.0), float(np.degrees(eta) * 3600.0)


def span(axis: Any) -> tuple[float, float]:
    begin, end = axis.mosaic()
    return float(begin), float(end)


def mosaic_pixel(axis: Any, pixel: float) -> float:
    """By hand from DETSEC, DATASEC and the binning."""
    binning = axis.window.binning
    return float(axis.mosaic()[0] + axis.sign * ((pixel - axis.data()[0]) * binning + (binning - 1) / 2))


def file_pixel(axes: Any, x: float, y: float) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]
        axis.data()[0] + (axis.sign * (pixel - axis.mosaic()[0]) - (axis.window.binning - 1) / 2) / axis.window.binning
        for axis, pixel in zip(axes, (x, y), strict=True)
    )


def test_a_picture_has_the_sky_of_its_amplifiers_where_nothing_is_missing_between_them(tmp_path: Path) -> None:
    image = quad(roi=Roi(21, 100, 11, 80, 2, 5), sky=SKY)
    write_image(tmp_path / "mef.fits", image)
    write_image(tmp_path / "asm.fits", image, "ASM")
    header = opened(tmp_path / "asm.fits")[0].header
    assert (header["DETSEC"], header["DATASEC"]) == ("[21:100,11:80]", "[1:40,1:14]")
    assert "ATM1_1" not in header
    picture = WCS(header)
    for unit in opened(tmp_path / "mef.fits")[1:]:
        there, here = physical(unit.header, 70.0, 50.0), physical(header, 70.0, 50.0)
        np.testing.assert_allclose(
            picture.wcs_pix2world([here], 1), WCS(unit.header).wcs_pix2world([there], 1), atol=0.01 * 0.4 / 3600.0
        )


def physical(header: Any, x: float, y: float) -> tuple[float, float]:
    """The pixel of the file for one of the mosaic."""
    return header["LTM1_1"] * x + header["LTV1"], header["LTM2_2"] * y + header["LTV2"]


def test_a_picture_with_holes_or_an_overscan_in_it_has_no_coordinates(tmp_path: Path) -> None:
    """The first 30 columns of each of two amplifiers that are read from the same side; an overscan between them."""
    format = Format(120, 0, 0, 8, 40)
    plane = FocalPlane(1, 1, 2, 1, (0, 0))
    holes = an_image(make_geometry(format, plane, Roi(1, 60, 1, 40)), sky=SKY)
    write_image(tmp_path / "holes.fits", holes, "ASM")
    write_image(tmp_path / "overscan.fits", an_image(make_geometry(format, plane, whole(format)), sky=SKY), "FITS")
    write_image(tmp_path / "whole.fits", an_image(make_geometry(format, plane, whole(format)), sky=SKY), "ASM")
    has = {name: "CRPIX1" in opened(tmp_path / f"{name}.fits")[0].header for name in ("holes", "overscan", "whole")}
    assert has == {"holes": False, "overscan": False, "whole": True}


def test_one_amplifier_read_from_the_right_is_shown_with_its_overscan_on_the_left(tmp_path: Path) -> None:
    format = Format(50, 4, 4, 6, 30)
    image = an_image(make_geometry(format, FocalPlane(1, 1, 1, 1, (1,)), Roi(6, 45, 3, 30, 2, 1)), sky=SKY)
    write_image(tmp_path / "a.fits", image, "FITS")
    (unit,) = opened(tmp_path / "a.fits")
    header = unit.header
    np.testing.assert_array_equal(unit.data, image.amps[0, :, ::-1])
    # Read: 2 columns of underscan, mosaic columns 45, 44, ... 6 by twos, 6 of overscan.
    assert (header["BIASSEC"], header["DATASEC"]) == ("[1:6,1:28]", "[7:26,1:28]")
    assert (header["DETSEC"], header["AMPSEC"]) == ("[6:45,3:30]", "[45:6,3:30]")
    assert (header["LTM1_1"], header["LTV1"]) == (0.5, 7 - 6.5 / 2)
    assert header["CRPIX1"] == pytest.approx(0.5 * 61.0 + 3.75)


@pytest.mark.parametrize("kind", KINDS)
def test_writing_takes_little_memory_beside_the_image(kind: Kind, tmp_path: Path) -> None:
    """An image of 32 MB; 16 amplifiers."""
    format = Format(4096, 0, 0, 16, 4000)
    image = an_image(make_geometry(format, FocalPlane(2, 1, 8, 2, (0, 1, 2, 3) * 4), whole(format)))
    write_image(tmp_path / "warm.fits", quad(), kind)  # what is compiled and imported once does not count
    tracemalloc.start()
    try:
        write_image(tmp_path / "a.fits", image, kind)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_an_image_that_does_not_fit_its_geometry_is_refused() -> None:
    geometry = quad().geometry
    wrong: list[NDArray[Any]] = [np.zeros((4, 47, 77), np.uint16), np.zeros(geometry.amp_shape, np.float32)]
    for amps, message in zip(wrong, ("do not fit the geometry", "none of uint16"), strict=True):
        with pytest.raises(ValueError, match=message):
            CcdImage(amps, geometry)


def test_an_unknown_kind_and_a_folder_that_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match="kind = 'TIFF' is none of FITS, MEF, BIN, ASM"):
        write_image(tmp_path / "a.tif", quad(), "TIFF")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match=r"nowhere/a.fits cannot be written: No such file"):
        write_image(tmp_path / "nowhere" / "a.fits", quad())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "compress"), [("MEF", False), ("MEF", True), ("FITS", False), ("ASM", True)])
def test_measurements_follow_the_pixels_as_a_table(tmp_path: Path, kind: Kind, compress: bool) -> None:
    measured = Measurements("CONPARS", {"P5V_V": 5.031, "MOD10/TEMPA_C": -101.25, "FANTACH": float("nan")})
    path = tmp_path / "a.fits"
    write_image(path, quad(measured=measured), kind, compress=compress)
    units = opened(path)
    assert units[0].header["EXTEND"]
    assert units[0].header["NEXTEND"] == len(units) - 1
    table = units[-1]
    assert (table.name, table.data["Keyword"].tolist()) == ("CONPARS", ["P5V_V", "MOD10/TEMPA_C", "FANTACH"])
    assert table.data["Unit"].tolist() == ["V", "deg C", ""]
    np.testing.assert_array_equal(table.data["Value"], [5.031, -101.25, np.nan])
