"""Logs of beamlines and detectors, headers of images, configurations: what they say, and what is wrong with others."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ConfigurationError, ProtocolError
from devices.drivers.beamline_log import parse_beamline_log
from devices.drivers.detector_log import parse_detector_log
from devices.drivers.image_header import measured, read_image_header
from devices.drivers.saxs_merge_configuration import parse_merge_configuration
from devices.simulators.saxs import write_image

FRAME = np.arange(6, dtype=np.int32).reshape(2, 3)
REAL_IMAGE = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs" / "agbeh2_1M.tif"


# Beamline -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "seconds"), [("Mac", 3483527100.25), ("Unix", 1400682300.25)])
def test_the_epochs_of_mac_and_unix_mean_the_same_moment(epoch: Any, seconds: float) -> None:
    log = parse_beamline_log(f"Time\tIoni\n{seconds}\t7\n".encode(), "d.log", epoch)
    moment = datetime(2014, 5, 21, 14, 25, 0, 250_000, tzinfo=UTC)
    assert log.time_us.tolist() == [round(moment.timestamp() * 1e6)]


def test_columns_are_numbers_where_all_cells_are_and_texts_otherwise() -> None:
    text = "t\tIoni         \tSample\tMotor\tIoni\t\r\n1.5\t12\tagbeh \t\t1e3\t\r\n\r\n2\tnan\t\t-0.5\tinf\t\r\n"
    log = parse_beamline_log(text.encode(), "d.log", "Unix")
    assert list(log.columns) == ["Ioni", "Sample", "Motor", "Ioni.1"]
    assert log.time_us.tolist() == [1_500_000, 2_000_000]
    np.testing.assert_array_equal(log.columns["Ioni"], [12.0, np.nan])
    assert log.columns["Sample"].tolist() == ["agbeh", None]
    np.testing.assert_array_equal(log.columns["Motor"], [np.nan, -0.5])
    np.testing.assert_array_equal(log.columns["Ioni.1"], [1000.0, np.nan])


def test_a_last_line_that_is_being_written_is_left_out_and_said() -> None:
    log = parse_beamline_log(b"t\ta\tb\n1\t2\t3\n2\t2", "d.log", "Unix")
    assert log.time_us.tolist() == [1_000_000] and log.is_cut
    assert not parse_beamline_log(b"t\ta\tb\n1\t2\t3\n2\t2\t3", "d.log", "Unix").is_cut


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: there is no line of column names"),
        ("no tabs here\n1 2\n", "line 1: no names"),
        ("1.5\t2\n", "line 1: no names"),
        ("t\ta\n\n1\t2\nx\t2\n3\t3\n", "line 4: 'x' is no time in s"),
        ("t\ta\n1_0\t2\n3\t3\n", "line 2: '1_0' is no time in s"),
        ("t\ta\n1e300\t2\n3\t3\n", "line 2: '1e300' is no time in s"),
        ("t\ta\n1\t2\n2\n3\t3\n", "line 3: 1 cells under 2 names"),
        ("t\ta\n1\t2\t9\n3\t3\n", "line 2: 3 cells under 2 names"),
        ("\t".join(["a"] * 1001), "1001 columns"),
    ],
)
def test_what_is_no_log_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ProtocolError) as found:
        parse_beamline_log(text.encode(), "d.log", "Unix")
    assert str(found.value).startswith("d.log: ") and problem in str(found.value)


@given(st.binary(max_size=300) | st.text("t\t\n\r0123456789.eE-+nai", max_size=200).map(str.encode))
def test_any_bytes_are_a_log_or_a_clear_error(data: bytes) -> None:
    try:
        log = parse_beamline_log(data, "d.log", "Mac")
    except ProtocolError as error:
        assert str(error).startswith("d.log: ")
    else:
        assert all(len(column) == len(log.time_us) for column in log.columns.values())


numbers = st.floats(-1e9, 1e9) | st.none()


@given(st.lists(st.tuples(st.integers(0, 4 * 10**15), numbers, numbers), max_size=20))
def test_what_was_written_is_read(written: list[tuple[int, float | None, float | None]]) -> None:
    lines = ["t\ta\tb", *("\t".join([f"{us // 10**6}.{us % 10**6:06d}", *map(_cell, cells)]) for us, *cells in written)]
    log = parse_beamline_log(("\r\n".join(lines) + "\r\n").encode(), "d.log", "Unix")
    np.testing.assert_allclose(log.time_us, [us for us, *_ in written], rtol=0, atol=1)
    for place, name in ((1, "a"), (2, "b")):
        expected = [np.nan if row[place] is None else row[place] for row in written]
        np.testing.assert_array_equal(log.columns[name], np.array(expected, np.float64))


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


# Detector -------------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_detector_log_are_found_between_headers_and_rules() -> None:
    log = parse_detector_log(
        b"Time Requested   Time Measured   End Date Time   File Name\r\n"
        b"------------     -----------     -----------     ---------\r\n"
        b"10.0  10.000123  2014-05-21 13:04:52.250  agbeh 2.tif\r\n"
        b"10.0  9.5  Wed May 21 13:05:10 2014  b.tif\r\n"
        b"0.5 s  0.25 s  2014:05:21 13:06:00  c.tif\r\n"
        b"what is this\r\n",
        "x.log",
    )
    assert log is not None
    assert [each.file for each in log.exposures] == ["agbeh 2.tif", "b.tif", "c.tif"]
    assert [each.measured_seconds for each in log.exposures] == [10.000123, 9.5, 0.25]
    assert log.exposures[0].end == datetime(2014, 5, 21, 13, 4, 52, 250_000)
    assert log.exposures[1].end == datetime(2014, 5, 21, 13, 5, 10)
    assert log.problems == ("line 6: no times, date and file name: 'what is this'",)


def test_other_logs_are_none_of_the_detector() -> None:
    assert parse_detector_log(b"img/a_00001, 1.5, 2.5, 3.5\n", "filelist.log") is None
    assert parse_detector_log(b"2026-11-21 10:00:00 INFO started\n", "server.log") is None


@given(st.binary(max_size=300) | st.text(" 0123456789.-:/TFe\nstif", max_size=200).map(str.encode))
def test_any_bytes_are_a_detector_log_or_none(data: bytes) -> None:
    header = b"Time Requested Time Measured End Date Time File Name\n"
    log = parse_detector_log(header + data, "x.log")
    assert log is not None
    assert len(log.exposures) + len(log.problems) <= data.count(b"\n") + 1


# Images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["tif", "cbf", "edf"])
def test_the_header_of_an_image_is_read_without_its_pixels(suffix: str, tmp_path: Path) -> None:
    moment = datetime(2014, 5, 21, 13, 4, 52, 500_000)
    write_image(tmp_path / f"a.{suffix}", FRAME, 10.0, moment.timestamp())
    header = read_image_header(tmp_path / f"a.{suffix}")
    assert header.started == moment
    assert header.exposure_seconds == 10.0
    if suffix == "tif":
        assert header.written == moment.replace(microsecond=0)
        assert measured(header.entries)["Wavelength [A]"] == "1.54"
        os.truncate(tmp_path / "a.tif", (tmp_path / "a.tif").stat().st_size - FRAME.nbytes)
        assert read_image_header(tmp_path / "a.tif").started == moment


@pytest.mark.parametrize("suffix", ["tif", "cbf", "edf"])
def test_a_damaged_header_is_read_or_refused(suffix: str, tmp_path: Path) -> None:
    write_image(tmp_path / f"a.{suffix}", FRAME, 10.0, 1400682300.0)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    random = np.random.default_rng(2)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content[: random.integers(1, 2 * len(content))])
        for place in random.integers(min(len(damaged), 600), size=6):
            damaged[place] = random.choice([0, 10, 255, random.integers(256)])
        (tmp_path / "x").write_bytes(damaged)
        try:
            read_image_header(tmp_path / "x")
        except ProtocolError as error:
            assert str(error).startswith(f"{tmp_path / 'x'}: not a readable TIFF, CBF or EDF image: ")
            refused += 1
    assert 0 < refused < 300


@pytest.mark.skipif(not REAL_IMAGE.exists(), reason="the images of a real detector are not here")
def test_the_header_of_a_real_image_tells_when_its_exposure_ended() -> None:
    header = read_image_header(REAL_IMAGE)
    assert (header.started, header.written) == (None, datetime(2014, 5, 21, 13, 4, 52))
    assert header.exposure_seconds == 10.0
    entries = measured(header.entries)
    assert (entries["Wavelength [A]"], entries["Threshold_setting [eV]"]) == ("1.54987", "4000")


def test_entries_are_named_with_their_units() -> None:
    entries = {
        "Pixel_size": "172e-6 m x 172e-6 m", "Threshold_setting": "4000 eV", "Phi": "-12.5 deg.", "Tau": "0",
        "Gain_setting": "autog (vrf = 1.000)", "Date": "2014-05-21T13:04:52", "Excluded": "12bad.tif", "Empty": "",
    }  # fmt: skip
    assert measured(entries) == {
        "Pixel_size [m]": "172e-6", "Threshold_setting [eV]": "4000", "Phi [deg.]": "-12.5", "Tau": "0",
        "Gain_setting": "autog (vrf = 1.000)", "Date": "2014-05-21T13:04:52", "Excluded": "12bad.tif", "Empty": "",
    }  # fmt: skip


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "whole.tif", FRAME, description="# Exposure_time 10 s", metadata=None)
    (tmp_path / "cut.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:20])
    (tmp_path / "text.tif").write_text("no image")
    os.mkfifo(tmp_path / "pipe.tif")
    for name, kind in (
        ("cut", ProtocolError),
        ("text", ProtocolError),
        ("pipe", BadValueError),
        ("none", BadValueError),
    ):
        with pytest.raises(kind, match=f"{name}.tif"):
            read_image_header(tmp_path / f"{name}.tif")


# Configuration --------------------------------------------------------------------------------------------------------


def test_every_problem_of_a_configuration_has_its_key() -> None:
    with pytest.raises(ConfigurationError) as found:
        parse_merge_configuration(
            {
                "TimeOffset": "1", "Extra": 1, "OutputFormats": {"xml": True},
                "LogDataTables": [{"TimeEpoch": "VMS"}, {"Name": "a/b", "Files": [{"RemotePath": "x"}]}],
            }
        )  # fmt: skip
    keys = {problem.split(":")[0] for problem in found.value.problems}
    tables = ("LogDataTables[0].Name", "LogDataTables[0].TimeEpoch", "LogDataTables[1].Name")
    assert keys == {*tables, "LogDataTables[1].Files[0].RemotePath", "TimeOffset", "Extra", "OutputFormats.xml"}


@pytest.mark.parametrize(
    ("tables", "zone", "problem"),
    [
        ([{"Name": "Img"}], "UTC", "LogDataTables[0].Name: 'Img' is empty or taken"),
        ([{"Name": "a"}, {"Name": "a "}], "UTC", "LogDataTables[1].Name: 'a' is empty or taken"),
        ([{"Name": "a", "FirstImageCorrelation": True, "ZeroImageCorrelation": True}], "UTC", "exclude each other"),
        ([{"Name": "a", "Files": [{}]}], "UTC", "LogDataTables[0].Files[0]: neither RemotePath nor LocalPath"),
        ([{"Name": "a", "Files": [{"LocalPath": "a\0b"}]}], "UTC", "LogDataTables[0].Files[0]: a path with a NUL"),
        ([], "Mars/Olympus", "TimeZone: 'Mars/Olympus' is no zone"),
        ([], "../../etc/passwd", "TimeZone: "),
    ],
)
def test_what_a_schema_cannot_tell_is_told_too(tables: list[Any], zone: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        parse_merge_configuration({"LogDataTables": tables, "TimeZone": zone})
    assert problem in str(found.value)


def test_a_configuration_of_before_means_what_it_did() -> None:
    found = parse_merge_configuration(
        {
            "TimeOffset": 2,
            "LogDataTables": [
                {"TimeEpoch": "Mac", "TimeOffset": -0.5, "FirstImageCorrelation": False, "ZeroImageCorrelation": True,
                 "Name": "Peak", "Files": [{"RemotePath": ["", "logs", "peak.log"], "LocalPath": ""}]},
            ],
            "OutputFormats": {"csv": True, "hdf": False, "exel": True, "json": False},
            "HDFOptions": {"IncludeCHI": True, "IncludeTIF": False},
            "OutputFileBaseName": "./results/logs/",
        }
    )  # fmt: skip
    (table,) = found.tables
    assert (table.offset_seconds, table.correlation, table.files[0].remote) == (1.5, "zero", "logs/peak.log")
    assert found.formats == {"csv", "exel"} and found.includes_curves and not found.includes_images
