"""Files of PFF frames: any frame by its number or time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices.core.errors import BadValueError, ProtocolError, RangeError, UnknownNameError
from devices.drivers.pff import RawFrame, Stamp, encode_header, product, stamps
from devices.drivers.pff_file import PffFile, PffName, file_name, frame_time_ns
from devices.drivers.white_rabbit import host_offset_s, unix_ns

REAL = Path(__file__).resolve().parents[3] / "shared/data/panoseti"
needs_data = pytest.mark.skipif(not REAL.exists(), reason="needs the PANOSETI files of ../shared/data")
SECOND = 1_721_882_086


def frame(index: int, nsec: int | None = None) -> RawFrame:
    """Of 100 a second; pixel (row, column) is 100 * row + column + index."""
    ns = index % 100 * 10_000_000 if nsec is None else nsec
    stamp = Stamp(index, (SECOND + index // 100 + 37) % 1024, ns, SECOND + index // 100, index % 100 * 10_000 + 9)
    rows, columns = np.mgrid[:32, :32]
    pixels = (100 * rows + columns + index).astype("<u2").tobytes()
    return RawFrame(product("img16"), encode_header([stamp] * 4), pixels)


def written(folder: Path, *frames: RawFrame, tail: bytes = b"") -> Path:
    path = folder / file_name(product("img16"), 254, 3, "2024-07-25T04:34:46Z")
    path.write_bytes(b"".join(each.bytes for each in frames) + tail)
    return path


def test_the_name_tells_what_is_in_a_file() -> None:
    name = file_name(product("img8"), 254, 3, "2024-07-25T04:34:46Z")
    assert name == "start_2024-07-25T04:34:46Z.dp_img8.bpp_1.module_254.seqno_3.pff"
    assert PffName.parse(name) == PffName("img8", 254, 3, "2024-07-25T04:34:46Z")
    real = "start_2024-07-25T04_34_46Z.dp_img16.bpp_2.module_1.seqno_0.debug_TRUNCATED.pff"
    assert PffName.parse(real) == PffName("img16", 1, 0, "2024-07-25T04_34_46Z")
    assert PffName.parse("sim.dp_ph256.module_224.seqno_12.pff") == PffName("ph256", 224, 12, "")
    assert PffName.parse("hk.pff") is None
    assert PffName.parse(name + ".part") is None


def test_any_frame_by_its_number_and_time(tmp_path: Path) -> None:
    with PffFile(written(tmp_path, *map(frame, range(250)))) as file:
        assert len(file) == 250
        assert file[7].image[3, 11] == 311 + 7
        assert file[-1].bytes == frame(249).bytes
        assert [each.fields["quabo_0"]["pkt_num"] for each in file][:3] == [0, 1, 2]
        assert file.time_ns(101) == SECOND * 10**9 + 1_010_000_000
        assert file.at(SECOND * 10**9 + 1_005_000_000) == 101
        assert file.at(SECOND * 10**9 + 1_010_000_000) == 101
        assert (file.at(0), file.at(2 * SECOND * 10**9)) == (0, 250)
        assert file.images().shape == (250, 32, 32)
        assert (file.images()[:, 3, 11] == 311 + np.arange(250)).all()
        for index in (250, -251):
            with pytest.raises(RangeError, match=rf"frame = {index} is outside \[0, 249\]"):
                file[index]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_frames_of_other_lengths_are_found(tmp_path: Path, first: int) -> None:
    """Clocks that run free have a digit more, at the begin, in the middle, at the end."""
    frames = [frame(0), frame(1), frame(2)]
    frames[first] = frame(first, 2_146_239_299)
    with PffFile(written(tmp_path, *frames)) as file:
        assert [each.bytes for each in file] == [each.bytes for each in frames]
        assert (file.images()[:, 0, 0] == [0, 1, 2]).all()


def test_a_part_of_a_frame_at_the_end_and_damage_are_left_out(tmp_path: Path) -> None:
    with PffFile(written(tmp_path, frame(0), frame(1), tail=frame(2).bytes[:2000])) as file:
        assert len(file) == 2
    path = written(tmp_path, frame(0))
    path.write_bytes(frame(0).bytes[900:] + b"?" * 37 + frame(1).bytes + frame(2).bytes)
    with PffFile(path) as file:
        assert [each.bytes for each in file] == [frame(1).bytes, frame(2).bytes]
    path.write_bytes(frame(0).bytes[40:] + frame(1).bytes)  # the rest of a header looks like one
    with PffFile(path) as file:
        assert [each.bytes for each in file] == [frame(1).bytes]


def test_files_without_frames(tmp_path: Path) -> None:
    path = written(tmp_path)
    with PffFile(path) as file:
        assert len(file) == 0 and file.images().shape == (0, 32, 32)
    path.write_bytes(frame(0).bytes[:1000])
    with PffFile(path) as file:
        assert len(file) == 0
    path.write_bytes(b"{" * 9000)
    with pytest.raises(ProtocolError, match="no frame begins in the first 4096 bytes"):
        PffFile(path)
    with pytest.raises(BadValueError, match="No such file"):
        PffFile(tmp_path / "a.dp_img16.pff")
    with pytest.raises(BadValueError, match="says no data product"):
        PffFile(tmp_path / "hk.pff")
    with pytest.raises(UnknownNameError, match="img99"):
        PffFile(tmp_path / "a.dp_img99.pff")


def test_a_frame_takes_its_time_from_a_quabo_that_was_there() -> None:
    """The first one was missing: zeros; and one whose clock runs free has the recorder's time."""
    header = encode_header([Stamp(0, 0, 0, 0, 0)] * 2 + [Stamp(5, (SECOND + 37) % 1024, 250, SECOND, 300)] * 2)
    assert frame_time_ns(RawFrame(product("img16"), header, b"").fields) == SECOND * 10**9 + 250
    assert frame_time_ns(frame(3, 1_500_000_000).fields) == SECOND * 10**9 + 30_009_000


@needs_data
def test_a_real_movie_runs_at_1_khz_with_disciplined_clocks() -> None:
    with PffFile(next(REAL.glob("*img16*.pff"))) as file:
        assert (len(file), file.name) == (1000, PffName("img16", 1, 0, "2024-07-25T04_34_46Z"))
        times = np.array([file.time_ns(index) for index in range(1000)])
        np.testing.assert_allclose(np.diff(times), 1_000_000, atol=10)
        for each in file:
            found = stamps(each.fields)
            assert {host_offset_s(stamp) for stamp in found} == {0}
            assert max(stamp.pkt_nsec for stamp in found) - min(stamp.pkt_nsec for stamp in found) <= 8
        assert file.images().min() >= 0 and file.images().max() <= 1865
        assert file.at(int(times[617])) == 617


@needs_data
def test_real_pulse_heights_have_the_faults_of_their_recorder() -> None:
    """It writes quabo 3 blank and quabo 2 a row down; a reader passes that on."""
    for path in REAL.glob("*ph256*.pff"):
        with PffFile(path) as file:
            quabos = np.array([each.quabo for each in file])
            images = file.images()
            assert len(file) == 2000 and set(quabos) == {0, 1, 2, 3}
            assert not images[quabos == 3].any()
            assert not images[quabos == 2][:, 0].any() and images[quabos == 2][:, 1].any()
            assert images.min() >= -330 and 2000 < images.max() <= 3286
            assert all(unix_ns(stamps(each.fields)[0]) is not None for each in file)
