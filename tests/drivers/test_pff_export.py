"""PFF files as tables, FITS and HDF5: every pixel, every time, and what was wrong with the clocks."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from devices.core.errors import BadValueError
from devices.drivers.pff import RawFrame, Stamp, encode_header, product
from devices.drivers.pff_export import export
from devices.drivers.pff_file import PffFile
from devices.drivers.pff_table import StampTable

SECOND = 1721882086  # 2024-07-25T04:34:46Z
TAI = (SECOND + 37) % 1024
NAME = "start_2024-07-25T04_34_46Z.dp_{}.bpp_2.module_3.seqno_2.pff"


def stamp(ms: int, nsec: int | None = None) -> Stamp:
    return Stamp(ms, TAI, ms * 1_000_000 + 7 if nsec is None else nsec, SECOND, ms * 1000 + 250)


def write(folder: Path, name: str, headers: list[bytes]) -> Path:
    of = product(name)
    path = folder / NAME.format(name)
    size = of.image_bytes // 2
    images = [(np.arange(size) * 3 - 50 * (index + 1)).astype(of.dtype) for index in range(len(headers))]
    path.write_bytes(
        b"".join(RawFrame(of, each, image.tobytes()).bytes for each, image in zip(headers, images, strict=True))
    )
    return path


@pytest.fixture
def pulses(tmp_path: Path) -> Path:
    """Frames of quabos 1, 1, 3 at 0, 20 and 10 ms, and one of quabo 0 at 40 ms whose clock ran free."""
    given = [(1, stamp(0)), (1, stamp(20)), (3, stamp(10)), (0, stamp(40, nsec=2_146_239_299))]
    return write(tmp_path, "ph256", [encode_header([each], quabo) for quabo, each in given])


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Three images at 1 kHz; the second lacks quabos 0 and 2."""
    none = Stamp(0, 0, 0, 0, 0)
    quabos = [[stamp(0)] * 4, [none, stamp(1), none, stamp(1)], [stamp(2)] * 4]
    return write(tmp_path, "img16", [encode_header(each) for each in quabos])


def test_a_table_tells_times_and_what_is_wrong_with_them(pulses: Path) -> None:
    told: list[int] = []
    with PffFile(pulses) as file:
        table = StampTable.read(file, told.append)
    assert told == [4]
    ns = SECOND * 10**9
    assert table.time_ns.tolist() == [ns + 7, ns + 20_000_007, ns + 10_000_007, ns + 40_250_000]
    assert table.wr_valid.tolist() == [True, True, True, False]
    assert table.quabo.tolist() == [1, 1, 3, 0]
    assert table.frames_of == [1, 2, 0, 1]
    assert (table.desynced, table.steps_back) == (1, 1)
    assert table.span_s == pytest.approx(0.040249993)
    assert table.rate == pytest.approx(3 / 0.040249993)


def test_a_table_of_four_quabos_counts_those_that_are_missing(movie: Path) -> None:
    with PffFile(movie) as file:
        table = StampTable.read(file)
    assert table.stamps.shape == (3, 4, 5)
    assert table.frames_of == [2, 3, 2, 3]
    assert table.rate == pytest.approx(1000.0)
    assert table.column("pkt_nsec")[1].tolist() == [0, 1_000_007, 0, 1_000_007]


@pytest.mark.parametrize("name", ["pulses", "movie"])
def test_fits_has_the_pixels_and_the_stamps(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = request.getfixturevalue(name)
    with PffFile(source) as file:
        export(file, tmp_path / "out.fits")
        images, table = file.images(), StampTable.read(file)
    with fits.open(tmp_path / "out.fits") as found:
        assert found["IMAGES"].data.shape == images.shape
        np.testing.assert_array_equal(found["IMAGES"].data, images)
        assert found[0].header["MODULE"] == 3
        assert found[0].header["DATE-BEG"] == "2024-07-25T04:34:46.000000007"
        rows = found["STAMPS"].data
        np.testing.assert_array_equal(rows["time_ns"], table.time_ns)
        np.testing.assert_array_equal(rows["wr_valid"], table.wr_valid)
        np.testing.assert_array_equal(
            rows["pkt_nsec"].reshape(table.column("pkt_nsec").shape), table.column("pkt_nsec")
        )
        assert found["STAMPS"].columns["tv_usec"].unit == "us"


@pytest.mark.parametrize("name", ["pulses", "movie"])
def test_hdf5_has_the_pixels_and_the_stamps(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = request.getfixturevalue(name)
    with PffFile(source) as file:
        export(file, tmp_path / "out.h5")
        images, table = file.images(), StampTable.read(file)
    with h5py.File(tmp_path / "out.h5") as found:
        assert found["images"].dtype == images.dtype
        np.testing.assert_array_equal(found["images"], images)
        np.testing.assert_array_equal(found["tv_usec"], table.column("tv_usec"))
        np.testing.assert_array_equal(found["quabo"], table.quabo)
        assert found.attrs["source"] == source.name and found.attrs["seqno"] == 2


def test_a_file_that_is_there_is_not_written_over_and_nothing_is_left_of_one_that_failed(
    pulses: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.h5").write_text("mine")
    empty = tmp_path / NAME.format("img8")
    empty.touch()
    before = sorted(tmp_path.iterdir())
    with PffFile(pulses) as file:
        with pytest.raises(BadValueError, match="is there already"):
            export(file, tmp_path / "there.h5")
        with pytest.raises(BadValueError, match="suffix"):
            export(file, tmp_path / "out.png")
    with PffFile(empty) as file, pytest.raises(BadValueError, match="no frames"):
        export(file, tmp_path / "out.h5")
    assert sorted(tmp_path.iterdir()) == before
