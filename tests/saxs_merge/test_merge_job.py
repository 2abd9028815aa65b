"""From a folder of images and logs to the files of a merge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import h5py
import numpy as np
import openpyxl
import pytest

from devices.core.errors import AbortedError, BadValueError, ConfigurationError, NotAllowedError, ProtocolError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.merged_hdf_file import image_key
from devices.drivers.saxs_merge_configuration import parse_merge_configuration
from devices.saxs.merge_job import Merged, MergeJob, Results, merge
from devices.saxs.merge_sources import found_logs
from devices.simulators.saxs import write_image
from devices.simulators.saxs_logs import MAC_EPOCH_S
from tests.saxs_merge.series import AHEAD, FRAME, T0, Series, configuration, rows, take

ROOT = Path(__file__).resolve().parents[2]


def quiet(percent: float, text: str) -> None:
    """Nobody listens."""


def job(series: Series, **changes: Any) -> MergeJob:
    allowed = AllowedFolders([series.folder.parent])
    parsed = parse_merge_configuration(configuration(**changes))
    return MergeJob(series.folder, allowed, parsed, found_logs(parsed, (), allowed))


def merged(series: Series, **changes: Any) -> Merged:
    return merge(job(series, **changes), quiet)


def result(series: Series, ending: str) -> Path:
    return series.folder / "results" / "logs" / f"data{ending}"


# What is merged -------------------------------------------------------------------------------------------------------


def test_the_shift_of_the_beamlines_clock_is_found_to_1_ms(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 2.0])
    found = merged(series).document["syncplot"]
    assert found["CalculatedTimeshift"] == pytest.approx(-AHEAD, abs=1e-3)
    np.testing.assert_allclose(found["Images"]["time"], [T0, T0 + 3.5], atol=1e-3)
    assert found["Images"]["value"] == [1.0, 2.0]
    np.testing.assert_allclose(found["Shutter"]["time"], [T0, T0 + 1.0, T0 + 3.5, T0 + 5.5], atol=1e-3)
    assert found["Shutter"]["value"] == [1.0, 0.0, 1.0, 0.0]


def test_the_motor_is_interpolated_and_the_counter_averaged_in_the_results(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 10.0, 4.0])
    merged(series)
    found = rows(result(series, ".csv"))
    assert [row["filename (Img)"] for row in found] == [each.name for each in series.exposures]
    for number, row in enumerate(found):
        assert float(row["Motor X (Dlogger)"]) == pytest.approx(
            series.beamline.motor_mm(series.middle(number)), abs=1e-4
        )
        assert row["Sample (Dlogger)"] == "agbeh"
        assert float(row["Time Measured [s] (ImgLog)"]) == series.exposures[number].seconds
    long = series.exposures[1]
    life = 36_000.0  # s, of the ring current: the mean of its exponential over the exposure
    begin, end = (series.beamline.ionisation(at) for at in (long.start, long.start + long.seconds))
    assert float(found[1]["Ioni (Dlogger)"]) == pytest.approx((begin - end) * life / long.seconds, rel=1e-7)


def test_the_zero_image_tells_the_shift_when_the_first_one_was_taken_without_beam(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 1.0], names=["zero_1M_00000.tif", "b.tif"])
    write_image(series.folder / "a_dark.tif", FRAME, 1.0, T0 - 60.0)
    table = {"Name": "Dlogger", "ZeroImageCorrelation": True, "Files": [{"RemotePath": ["datalogger.txt"]}]}
    found = merged(series, LogDataTables=[table])
    assert found.document["syncplot"]["CalculatedTimeshift"] == pytest.approx(-AHEAD, abs=1e-3)
    first = merged(series).document["syncplot"]["CalculatedTimeshift"]
    assert first == pytest.approx(-AHEAD - 60.0, abs=1e-3)
    (series.folder / "zero_1M_00000.tif").rename(series.folder / "other.tif")
    with pytest.raises(BadValueError, match=r"there is no image zero_1M_00000\.tif"):
        merged(series, LogDataTables=[table])


def test_a_log_without_a_correlation_is_shifted_with_the_one_that_has_it(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 1.0])
    lines = [f"{T0 + AHEAD + second}\t{second}" for second in range(-5, 20)]
    (tmp_path / "other.txt").write_text("t\tSecond\n" + "\n".join(lines) + "\n")
    other = {"Name": "Unix", "TimeEpoch": "Unix", "Files": [{"RemotePath": ["other.txt"]}]}
    tables = [*configuration()["LogDataTables"], other]
    merged(series, LogDataTables=tables, TimeOffset=-100.0)  # the shutter tells that it is wrong
    found = rows(result(series, ".csv"))
    np.testing.assert_allclose([float(row["Second (Unix)"]) for row in found], [0.5, 4.0], atol=1e-3)
    merged(series, LogDataTables=[tables[0], {**other, "TimeOffset": 2.0}])
    found = rows(result(series, ".csv"))
    np.testing.assert_allclose([float(row["Second (Unix)"]) for row in found], [-1.5, 2.0], atol=1e-3)


def test_dates_of_images_are_taken_in_the_zone_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    moment = datetime(2014, 5, 21, 13, 4, 52, tzinfo=ZoneInfo("Europe/Vienna"))  # 11:04:52 UTC
    wall = moment.replace(tzinfo=None).timestamp()
    write_image(tmp_path / "data" / "a.tif", FRAME, 2.0, wall)
    unix = moment.timestamp() + 1.0
    (tmp_path / "datalogger.txt").write_text(f"t\tMotor\n{unix - 10.0}\t1.0\n{unix + 10.0}\t3.0\n")
    table = {"Name": "D", "TimeEpoch": "Unix", "Files": [{"RemotePath": ["datalogger.txt"]}]}
    series = replace(take(tmp_path / "other", []), folder=tmp_path / "data")
    merged(series, LogDataTables=[table], TimeZone="Europe/Vienna")
    (row,) = rows(result(series, ".csv"))
    assert row["time"] == "2014-05-21 11:04:53.000000"
    assert float(row["Motor (D)"]) == pytest.approx(2.0)
    merged(series, LogDataTables=[{**table, "TimeOffset": 7200}])  # the same by an offset
    (row,) = rows(result(series, ".csv"))
    assert row["time"] == "2014-05-21 13:04:53.000000"
    assert float(row["Motor (D)"]) == pytest.approx(2.0)


def test_an_image_without_a_detector_log_begins_by_its_comment_and_ends_by_its_tiff_date(tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "data"
    folder.mkdir()
    comment = "# 2014-05-21T13:04:52.500\r\n# Exposure_time 10.0 s"
    end = datetime(2014, 5, 21, 13, 10, 0)
    tifffile.imwrite(folder / "a.tif", FRAME, description=comment, datetime=end, metadata=None)
    tifffile.imwrite(folder / "b.tif", FRAME, description="# Exposure_time 10.0 s", datetime=end, metadata=None)
    tifffile.imwrite(folder / "c.tif", FRAME, description="# Exposure_time 10.0 s", metadata=None)
    series = replace(take(tmp_path / "other", []), folder=folder)
    said: list[str] = []
    merge(job(series, LogDataTables=[]), lambda percent, text: said.append(text))
    assert [(row["filename (Img)"], row["time"]) for row in rows(result(series, ".csv"))] == [
        ("a.tif", "2014-05-21 13:04:57.500000"),
        ("b.tif", "2014-05-21 13:09:55.000000"),
    ]
    assert any("c.tif" in text and "neither its header nor a detector log" in text for text in said)


def test_2000_images_are_merged(tmp_path: Path) -> None:
    series = take(tmp_path, [])
    names = [f"s_{number:05d}.tif" for number in range(2000)]
    write_image(series.folder / names[0], FRAME, 0.5, T0)
    content = (series.folder / names[0]).read_bytes()
    lines = ["Time Requested  Time Measured  End Date Time  File Name"]
    for number, name in enumerate(names):
        (series.folder / name).write_bytes(content)
        end = datetime.fromtimestamp(T0 + 0.5 + 0.75 * number)
        lines.append(f"0.5  0.5  {end.isoformat(sep=' ', timespec='milliseconds')}  {name}")
    (series.folder / "detector.log").write_text("\n".join(lines) + "\n")
    seconds = np.arange(-10.0, 1600.0)
    log = "".join(f"{T0 + MAC_EPOCH_S + each:.3f}\t{0.01 * each:.6f}\n" for each in seconds)
    (tmp_path / "datalogger.txt").write_text("t\tMotor\n" + log)
    table = {"Name": "D", "Files": [{"RemotePath": ["datalogger.txt"]}]}
    merged(series, LogDataTables=[table])
    found = rows(result(series, ".csv"))
    assert [row["filename (Img)"] for row in found] == names
    expected = 0.01 * (0.25 + 0.75 * np.arange(2000))
    np.testing.assert_allclose([float(row["Motor (D)"]) for row in found], expected, atol=1e-6)
    assert found[1999]["Time Measured [s] (ImgLog)"] == "0.5"


# The files ------------------------------------------------------------------------------------------------------------


def test_all_kinds_of_files_hold_the_same_table(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 2.0])
    write_image(series.folder / "no_log.tif", FRAME, 1.0, T0 + 1.0)
    merged(series, OutputFormats={"csv": True, "json": True, "exel": True, "hdf": True})
    table = rows(result(series, ".csv"))
    names = list(table[0])[1:]
    motor, measured = "Motor X (Dlogger)", "Time Measured [s] (ImgLog)"
    assert measured in names and table[1][measured] == ""

    igor = rows(result(series, "_igor.csv"))
    assert list(igor[0])[1:] == names
    first = datetime.fromisoformat(table[0]["time"]) - datetime(1904, 1, 1)
    assert float(igor[0]["time [s since 1904]"]) == pytest.approx(first.total_seconds(), abs=1e-6)

    document = json.loads(result(series, ".json").read_bytes())
    assert list(document) == names
    assert document[motor] == {row["time"]: float(row[motor]) for row in table}
    assert document[measured][table[1]["time"]] is None

    sheet = openpyxl.load_workbook(result(series, ".xlsx"))["LogData"]
    lines = list(sheet.iter_rows(values_only=True))
    assert list(lines[0][1:]) == names
    assert lines[1][names.index(motor) + 1] == float(table[0][motor])
    assert lines[2][names.index(measured) + 1] is None
    assert abs((lines[1][0] - datetime.fromisoformat(table[0]["time"])).total_seconds()) < 1e-3

    with h5py.File(result(series, ".hdf")) as file:
        data = file["LogData"]
        assert {dataset.attrs["long_name"] for name, dataset in data.items() if name != "time"} == set(names)
        np.testing.assert_array_equal(data[motor][...], [float(row[motor]) for row in table])
        assert np.isnan(data[measured][1])
        assert data["filename (Img)"].asstr()[1] == "no_log.tif"
        assert list(file["Images"]) == list(file["Graphs"]) == []


def test_texts_of_logs_are_no_formulas_and_no_control_characters(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    text = "Time\tNote\tcount/s\n" + "".join(
        f"{T0 + MAC_EPOCH_S + second}\t=1+1\x0b\x00\t{second}\n" for second in (-9, 9)
    )
    series.log.write_text(text)
    found = merged(series, OutputFormats={"exel": True, "hdf": True, "json": True})
    assert found.table.columns["Note (Dlogger)"].tolist() == ["=1+1??"]
    sheet = openpyxl.load_workbook(result(series, ".xlsx"))["LogData"]
    (cell,) = [cell for cell in list(sheet.rows)[1] if cell.value == "=1+1??"]
    assert cell.data_type == "s"
    with h5py.File(result(series, ".hdf")) as file:
        assert file["LogData/count_s (Dlogger)"].attrs["long_name"] == "count/s (Dlogger)"


def test_images_and_curves_go_into_the_hdf_file(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 1.0])
    first, second = (str(series.folder / each.name) for each in series.exposures)
    chi = tmp_path / "work" / "agbeh_00000.chi"
    chi.parent.mkdir()
    chi.write_text('{"Wavelength": 1.54}\n{}\n["q", "I", "s"]\n   2\n 0.5 10 1\n 1.0763 480.5 2\n')
    results = Results(
        {"Radial0": [str(chi)]}, {first: str(chi.with_suffix("")), second: str(tmp_path / "work" / "none")}
    )
    options = {"IncludeCHI": True, "IncludeTIF": True}
    said: list[str] = []
    given = replace(job(series, OutputFormats={"hdf": True}, HDFOptions=options), results=results)
    found = merge(given, lambda percent, text: said.append(text))
    assert "1 images have no curves yet" in said
    with h5py.File(result(series, ".hdf")) as file:
        assert set(file["Images"]) == {image_key(first), image_key(second)}
        np.testing.assert_array_equal(file["Images"][image_key(first)][...], FRAME)
        curve = file["Graphs/Radial0"][image_key(first)]
        np.testing.assert_array_equal(curve["CHI"][...], [[0.5, 1.0763], [10.0, 480.5], [1.0, 2.0]])
        assert json.loads(curve["JSON"].asstr()[()]) == {"Wavelength": 1.54}
    assert result(series, "Radial0.txt").read_text() == f"{chi}\n"
    assert found.document["fileslist"]["Radial0"] == [str(chi)]
    assert set(found.document["fileslist"]["Merged"]) == {str(path) for path in found.files}
    assert all(path.exists() for path in found.files)


def test_what_was_done_stands_in_the_log_of_the_merge_also_when_it_failed(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    merged(series)
    log = series.folder / "results" / "logs" / "consolidate_log.log"
    assert f"its clock is shifted by -{AHEAD:.6f} s" in log.read_text()
    series.log.write_text("t\tShutter\n" + f"{T0 + MAC_EPOCH_S}\t0\n")
    with pytest.raises(BadValueError, match="Dlogger: the shutter never opens"):
        merged(series)
    assert "failed: Dlogger: the shutter never opens, so it tells no time shift" in log.read_text()


def test_an_aborted_merge_leaves_the_files_of_the_one_before(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    wanted = {"OutputFormats": {"hdf": True}, "HDFOptions": {"IncludeTIF": True}}
    merged(series, **wanted)
    before = result(series, ".hdf").read_bytes()

    def abort(percent: float, text: str) -> None:
        if percent >= 72.0:
            raise AbortedError("by a test")

    with pytest.raises(AbortedError):
        merge(job(series, **wanted), abort)
    assert result(series, ".hdf").read_bytes() == before
    assert not list(result(series, ".hdf").parent.glob(".*"))


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [["..", "secret.txt"], ["", "etc", "..", "..", "secret.txt"], ["link.txt"]])
def test_logs_outside_of_the_base_folder_are_not_read(path: list[str], tmp_path: Path) -> None:
    series = take(tmp_path / "base", [1.0])
    (tmp_path / "secret.txt").write_text("t\ta\n1\t2\n")
    (tmp_path / "base" / "link.txt").symlink_to(tmp_path / "secret.txt")
    for file in ({"RemotePath": path}, {"LocalPath": "/".join(path)}):
        with pytest.raises(NotAllowedError, match="outside the folders that are allowed"):
            job(series, LogDataTables=[{"Name": "D", "Files": [file]}])


@pytest.mark.parametrize("name", ["../../out/", "/tmp/out/", "link/"])
def test_results_outside_of_the_base_folder_are_not_written(name: str, tmp_path: Path) -> None:
    series = take(tmp_path / "base", [1.0])
    (tmp_path / "out").mkdir()
    (series.folder / "link").symlink_to(tmp_path / "out")
    with pytest.raises(NotAllowedError, match="outside the folders that are allowed"):
        merged(series, OutputFileBaseName=name)
    assert not list((tmp_path / "out").iterdir())


def test_images_and_detector_logs_behind_links_that_lead_outside_are_left_out(tmp_path: Path) -> None:
    series = take(tmp_path / "base", [1.0])
    other = take(tmp_path / "elsewhere", [1.0], names=["x.tif"])
    (series.folder / "x.tif").symlink_to(other.folder / "x.tif")
    (series.folder / "x.log").symlink_to(other.folder / "detector.log")
    said: list[str] = []
    merge(job(series), lambda percent, text: said.append(text))
    assert [row["filename (Img)"] for row in rows(result(series, ".csv"))] == ["agbeh_00000.tif"]
    assert any(text.startswith("left out") and "x.tif" in text for text in said)
    assert any(text.startswith("passed over") and "x.log" in text for text in said)


def test_missing_logs_are_all_named(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    tables = [{"Name": "A", "Files": [{"RemotePath": ["a.txt"]}, {"LocalPath": "b.txt"}]}]
    with pytest.raises(ConfigurationError) as found:
        job(series, LogDataTables=tables)
    assert [problem.split(": ")[:2] for problem in found.value.problems] == [
        ["LogDataTables[0].Files[0]", "a.txt"], ["LogDataTables[0].Files[1]", "b.txt"],
    ]  # fmt: skip


def test_a_log_that_is_none_and_a_folder_without_images_are_errors(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    series.log.write_text("no log")
    with pytest.raises(ProtocolError, match=r"datalogger\.txt: line 1"):
        merged(series)
    for image in series.folder.glob("*.tif"):
        image.unlink()
    with pytest.raises(BadValueError, match="there is no image with a time"):
        merged(series, LogDataTables=[])


# Without a server -----------------------------------------------------------------------------------------------------


MAIN = """
import sys, time
from servers.main import main
print("zone", time.timezone, file=sys.stderr, flush=True)
main(["saxs", "merge", *sys.argv[1:]])
"""


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", MAIN, *words],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=60.0, check=False,
    )  # fmt: skip


def test_the_result_is_the_same_in_every_time_zone(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 10.0])
    begin = T0 + MAC_EPOCH_S
    (tmp_path / "far.txt").write_text(f"t\tMotor\n{begin - 86_400}\t0\n{begin + 86_400}\t2\n")
    contents = []
    # The rules of Asia/Tokyo and America/Los_Angeles, which a machine need not have by their names.
    for zone, west_s in (("UTC0", 0), ("JST-9", -32400), ("PST8PDT,M3.2.0,M11.1.0", 28800)):
        (tmp_path / zone[:3]).mkdir()
        found = command("data", "far.txt", "-b", "-t", "0.5", "-o", f"{zone[:3]}/found.json", cwd=tmp_path, TZ=zone)
        assert found.returncode == 0, found.stderr
        assert found.stderr.startswith(f"zone {west_s}\n")
        contents.append([(tmp_path / zone[:3] / name).read_bytes() for name in ("found.json", "found_igor.csv")])
    assert contents[0] == contents[1] == contents[2]
    motor = list(json.loads(contents[0][0])["Motor (Peak)"].values())
    expected = [1.0 + (series.middle(number) - T0 - 0.5) / 86_400 for number in (0, 1)]
    np.testing.assert_allclose(motor, expected, atol=1e-7)


def test_saxsdmerge_takes_the_options_of_before(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0, 2.0])
    (tmp_path / "work").mkdir()
    curve = "{}\n{}\n[]\n   2\n 0.5 10 1\n 1.0 9 1\n"
    for name in ("agbeh_00000.chi", "agbeh_00000_cS1.chi", "foreign.chi"):
        (tmp_path / "work" / name).write_text(curve)
    (tmp_path / "slow.txt").write_text(f"t\tValve\n{T0 + MAC_EPOCH_S + AHEAD - 60}\topen\n")
    found = command("-1", "-c", "-f", "-b", "-o", "out.hdf", "data", series.log.name, "slow.txt", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert set(found.stdout.split()) == {
        str(tmp_path / f"out{ending}") for ending in ("_igor.csv", "Radial0.txt", "Slice1.txt", ".hdf")
    }
    assert "its clock is shifted by -41.234500 s" in found.stderr
    with h5py.File(tmp_path / "out.hdf") as file:
        assert file["LogData/Valve (Dlogger)"].asstr()[...].tolist() == ["open", "open"]
        np.testing.assert_allclose(
            file["LogData/Motor X (Peak)"][...],
            [series.beamline.motor_mm(series.middle(number)) for number in (0, 1)],
            atol=1e-4,
        )
        assert len(file["Images"]) == 2
        assert list(file["Graphs/Slice1"]) == [image_key(str(series.folder / "agbeh_00000.tif"))]


def test_saxsdmerge_follows_a_configuration_and_names_what_is_wrong(tmp_path: Path) -> None:
    series = take(tmp_path, [1.0])
    table = {"Name": "Logger", "Files": [{"LocalPath": "datalogger.txt"}]}
    (tmp_path / "conf.json").write_text(json.dumps({"LogDataTables": [table], "OutputFormats": {"json": True}}))
    found = command("-z", "data", "-C", "conf.json", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert "error: ZeroImageCorrelation: there is no image zero_1M_00000.tif" in found.stderr
    found = command("--syncfirst", "data", "-C", "conf.json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    document = json.loads(result(series, ".json").read_bytes())
    (motor,) = document["Motor X (Logger)"].values()
    assert motor == pytest.approx(series.beamline.motor_mm(series.middle(0)), abs=1e-4)
    (tmp_path / "conf.json").write_text(json.dumps({"LogDataTables": [{"Nane": "Logger"}]}))
    found = command("data", "-C", "conf.json", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stderr.count("error: conf.json: LogDataTables[0].Na") == 2
