"""Detector frames as other programs write them (tifffile, fabio), whole, truncated, foreign and hostile."""

import io
import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.detector_image import DetectorImage, decode_detector_image, read_detector_image

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs"

FRAME = np.random.default_rng(7).poisson(300.0, (37, 53)).astype(np.int32)
FRAME[10:13] = -1
FRAME[4, 50] = -2
FRAME[20, 3] = 1_080_456

COMMENTS = "\r\n".join(
    [
        "# Detector: PILATUS3 1M, S/N 10-0120",
        "# 2014-05-21T13:04:52.500",
        "# Pixel_size 172e-6 m x 172e-6 m",
        "# Silicon sensor, thickness 0.000450 m",
        "# Exposure_time 10.0000000 s",
        "# Tau = 0 s",
        "# Threshold_setting: 4000 eV",
    ]
)
TAKEN = datetime(2014, 5, 21, 13, 4, 52, 500_000).timestamp()


def tiff_file(path: Path, frame: np.ndarray = FRAME, **options: object) -> Path:
    tifffile.imwrite(path, frame, **{"description": COMMENTS, "metadata": None, **options})
    return path


def cbf_file(path: Path, frame: np.ndarray = FRAME) -> Path:
    header = {"_array_data.header_convention": "PILATUS_1.2", "_array_data.header_contents": COMMENTS}
    CbfImage(data=frame, header=header).write(str(path))
    return path


def edf_file(path: Path, frame: np.ndarray = FRAME) -> Path:
    header = {"ExposureTime": "10.0", "Date": "2014-05-21T13:04:52.500", "Detector": "PILATUS3 1M, S/N 10-0120"}
    EdfImage(data=frame, header=header).write(str(path))
    return path


WRITERS = {"frame.tif": tiff_file, "frame.cbf": cbf_file, "frame.edf": edf_file}


@pytest.fixture(params=WRITERS)
def image_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / request.param)


def test_a_frame_keeps_its_rows_columns_and_counts(image_file: Path) -> None:
    image = read_detector_image(image_file)
    np.testing.assert_array_equal(image.data, FRAME)
    assert image.data.dtype == np.int32


def test_exposure_date_and_entries_come_from_the_header(image_file: Path) -> None:
    image = read_detector_image(image_file)
    assert image.exposure_seconds == 10.0
    assert image.timestamp == pytest.approx(TAKEN, abs=1e-6)
    assert image.header["Detector"] == "PILATUS3 1M, S/N 10-0120"


def test_all_comments_of_a_pilatus_are_entries(tmp_path: Path) -> None:
    header = read_detector_image(tiff_file(tmp_path / "a.tif")).header
    assert header["Pixel_size"] == "172e-6 m x 172e-6 m"
    assert header["Tau"] == "0 s"
    assert header["Threshold_setting"] == "4000 eV"


@pytest.mark.parametrize("name", WRITERS)
def test_the_content_tells_the_format_and_not_the_name(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_detector_image(WRITERS[name](tmp_path / "frame.dat")).data, FRAME)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", ">i4", ">f8"])
def test_tiff_and_edf_keep_the_type_of_their_numbers(kind: str, tmp_path: Path) -> None:
    frame = np.arange(35, dtype=kind).reshape(5, 7)
    for path in (
        tiff_file(tmp_path / "a.tif", frame, byteorder=">" if kind[0] == ">" else "<"),
        edf_file(tmp_path / "a.edf", frame.astype(kind[-2:])),
    ):
        data = read_detector_image(path).data
        np.testing.assert_array_equal(data, frame)
        assert data.dtype == np.dtype(kind).newbyteorder("=")


def test_an_edf_frame_of_a_big_endian_machine_is_read() -> None:
    header = "{\nByteOrder = HighByteFirst ;\nDataType = UnsignedShort ;\nDim_1 = 3 ;\nDim_2 = 2 ;\n}\n"
    frame = np.array([[1, 2, 3], [256, 257, 65535]], ">u2")
    np.testing.assert_array_equal(decode_detector_image(header.encode() + frame.tobytes(), "x.edf").data, frame)


def test_a_compressed_tiff_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tiff_file(tmp_path / "a.tif", compression="zlib")
    with pytest.raises(ProtocolError, match=r"ADOBE_DEFLATE.* is not supported: write it uncompressed"):
        read_detector_image(path)


def test_a_frame_without_header_entries_has_no_exposure_and_no_date(tmp_path: Path) -> None:
    image = read_detector_image(tiff_file(tmp_path / "a.tif", description="beam line 7"))
    assert image.exposure_seconds is None
    assert image.timestamp is None


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("# Exposure_time 0.5 s", 0.5),
        ("# Exposure_time = 1e-3 s", 1e-3),
        ("# Exposure_time unknown", None),
        ("# Exposure_time -1 s", None),
        ("# Exposure_time 1e999 s", None),
    ],
)
def test_an_exposure_is_a_number_or_nothing(line: str, seconds: float | None, tmp_path: Path) -> None:
    assert read_detector_image(tiff_file(tmp_path / "a.tif", description=line)).exposure_seconds == seconds


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        ("# 2011/Aug/11 15:53:32.345", datetime(2011, 8, 11, 15, 53, 32, 345_000)),
        ("# 2011-08-11T15:53:32", datetime(2011, 8, 11, 15, 53, 32)),
        ("# Date: 2011:08:11 15:53:32", datetime(2011, 8, 11, 15, 53, 32)),
        ("# Date: Thu Aug 11 15:53:32 2011", datetime(2011, 8, 11, 15, 53, 32)),
        ("# Date: yesterday", None),
    ],
)
def test_dates_are_read_in_the_spellings_of_detectors(line: str, moment: datetime | None, tmp_path: Path) -> None:
    timestamp = read_detector_image(tiff_file(tmp_path / "a.tif", description=line)).timestamp
    assert timestamp == (moment.timestamp() if moment else None)


@pytest.mark.parametrize("kept", [0, 3, 8, 60, 200, 0.5, 0.9, -1])
def test_a_half_written_file_is_named_with_its_reason(kept: float, image_file: Path) -> None:
    data = image_file.read_bytes()
    # fabio closes a CBF file with a line that may be missing: the frame itself ends before it.
    whole = data.rindex(b"\r\n\r\n--CIF-BINARY") if image_file.suffix == ".cbf" else len(data)
    length = whole + kept if kept < 0 else int(whole * kept) if kept % 1 else kept
    image_file.write_bytes(data[: int(length)])
    with pytest.raises(ProtocolError, match=f"{image_file.name}: .+"):
        read_detector_image(image_file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadValueError, match=r"nowhere\.tif cannot be read: No such file"):
        read_detector_image(tmp_path / "nowhere.tif")


def test_a_folder_a_pipe_and_an_impossible_name_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.tif"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(BadValueError, match="is not a plain file"):
            read_detector_image(path)
    with pytest.raises(BadValueError, match="is not a path"):
        read_detector_image("frame\0.tif")


def test_a_file_over_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = tiff_file(tmp_path / "a.tif")
    size = path.stat().st_size
    with pytest.raises(BadValueError, match=f"has {size} bytes, more than {size - 1} bytes"):
        read_detector_image(path, max_bytes=size - 1)
    read_detector_image(path, max_bytes=size)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a TIFF, CBF or EDF image"),
        (b"\x89PNG\r\n\x1a\n", "not a TIFF, CBF or EDF image"),
        (b"###CBF: VERSION 1.5\r\ndata_frame\r\n", "there is no binary section"),
        (b"###CBF: VERSION 1.5\r\n--CIF-BINARY-FORMAT-SECTION--\r\n" + b"x" * 5000, "there is no binary section"),
        (b"{\nDim_1 = 3 ;\nDim_2 = 2 ;\n", "the header has no end"),
        (b"{\nDim_1 = 3 ;\nDim_2 = 2 ;\nDataType = Complex ;\n}\n", "complex"),
        (b"{\nDim_1 = 99999 ;\nDim_2 = 99999 ;\nDataType = DoubleValue ;\n}\n", "99999 x 99999 px"),
        (b"{\nDim_1 = -3 ;\nDim_2 = -2 ;\nDataType = DoubleValue ;\n}\n", "-2 x -3 px"),
        (b"{\nEDF_BinaryFileName = /etc/hostname ;\nDim_1 = 3 ;\n}\n", "another file"),
    ],
)
def test_a_foreign_or_hostile_file_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        decode_detector_image(content, "strange.tif")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Fastest-Dimension: 53", b"Fastest-Dimension: 5300000000", "5300000000 px"),
        (b"Fastest-Dimension: 53", b"Fastest-Dimension: 54", "fewer than 1998 pixels"),
        (b"x-CBF_BYTE_OFFSET", b"x-CBF_PACKED", "x-CBF_PACKED"),
        (b"X-Binary-Size: ", b"X-Binary-Size: 9", "truncated"),
        (b"X-Binary-Size: ", b"X-Binary-Size: -", "truncated"),
        (b"Content-MD5: ", b"Content-MD5: A", "checksum"),
    ],
)
def test_a_wrong_cbf_header_is_refused(old: bytes, new: bytes, reason: str, tmp_path: Path) -> None:
    data = cbf_file(tmp_path / "a.cbf").read_bytes()
    assert old in data
    with pytest.raises(ProtocolError, match=reason):
        decode_detector_image(data.replace(old, new), "a.cbf")


def test_what_is_not_one_frame_of_numbers_is_refused(tmp_path: Path) -> None:
    colours = tiff_file(tmp_path / "rgb.tif", np.zeros((9, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ProtocolError, match=r"rgb\.tif.*\(9, 5, 3\)"):
        read_detector_image(colours)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(FRAME, metadata=None)
        writer.write(FRAME, metadata=None)
    with pytest.raises(ProtocolError, match="more than one frame"):
        decode_detector_image(buffer.getvalue(), "two.tif")
    one = edf_file(tmp_path / "one.edf").read_bytes()
    with pytest.raises(ProtocolError, match="more than one frame"):
        decode_detector_image(one + one, "two.edf")


def survives(data: bytes) -> None:
    try:
        image = decode_detector_image(data, "some.tif")
    except ProtocolError as error:
        assert str(error).startswith("some.tif: ")
        assert len(str(error)) > len("some.tif: ")
    else:
        assert isinstance(image, DetectorImage)
        assert image.data.ndim == 2


@settings(deadline=None)
@given(st.sampled_from([b"", b"II*\0", b"MM\0*", b"###CBF", b"{"]), st.binary(max_size=400))
def test_random_bytes_give_a_clear_error(start: bytes, rest: bytes) -> None:
    survives(start + rest)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("samples")
    frame = FRAME[:8, :11].copy()
    return [write(folder / name, frame).read_bytes() for name, write in WRITERS.items()]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_read_or_gives_a_clear_error(
    samples: list[bytes], which: int, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(samples[which])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    survives(bytes(data))


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real frames are not at {REAL_DATA}")
def test_a_real_pilatus_frame_is_read() -> None:
    image = read_detector_image(REAL_DATA / "agbeh2_1M.tif")
    assert image.data.shape == (1043, 981)
    assert image.data.dtype == np.int32
    assert ((image.data == -1).sum(), (image.data == -2).sum()) == (73_533, 138)
    assert image.exposure_seconds == 10.0
    assert image.timestamp == datetime(2014, 5, 21, 13, 4, 52).timestamp()
    assert image.header["Wavelength"] == "1.54987 A"
