"""A merge as clients see it: over the leash with a real detector, and as an operation of the device."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from devices.drivers.merged_hdf_file import image_key
from devices.saxs import SaxsDetector, merge_job
from devices.saxs.results import Attachment
from devices.simulators.saxs import write_image
from servers.leash.client import LeashClient
from servers.leash.endpoint import Endpoint
from servers.leash.service import LeashService, LeashSettings
from tests.leash.detector import SECRET, entry
from tests.saxs.beamline import DETECTOR, begin, detector, folder
from tests.saxs_merge.series import AHEAD, Series, configuration, rows, take
from tests.support.running import running, until

Ask = Callable[..., Any]


def series_in(base: Path, lengths: list[float]) -> Series:
    """Images that the detector can integrate, with logs."""
    series = take(folder(base), lengths)
    frame = DETECTOR.expose(1.0)
    for each in series.exposures:
        write_image(series.folder / each.name, frame, each.seconds, each.start)
    return series


@asynccontextmanager
async def queue(base: Path, **properties: Any) -> AsyncIterator[tuple[SaxsDetector, Ask]]:
    """A detector with all images of its folder done, and how its leash is asked."""
    async with running(detector(base, **properties)) as device:
        service = LeashService(device.control, LeashSettings(entry(), follow_feeder=False))
        await service.start()
        try:
            await until(lambda: device.connected, "the device is connected")
            await begin(device)
            run = await device.run("reintegrate_folder", {})
            await until(lambda: device.operations.status(run)["state"] == "DONE", "the images", 20.0)
            client = LeashClient(Endpoint.parse(service.endpoints[0]), SECRET, None, 20.0)

            async def ask(*words: Any, **options: Any) -> Any:
                return await asyncio.to_thread(lambda: client.ask(*words, **options))

            yield device, ask
        finally:
            await service.stop()


async def mergestat(ask: Ask, what: str) -> str:
    """What the merge says, until it says this."""
    said = ""
    async with asyncio.timeout(20.0):
        while what not in said:
            reply = await ask("mergestat")
            assert reply["result"] == "stat"
            said += reply["data"]["mergeinfo"]
            await asyncio.sleep(0.02)
    return said


def test_a_merge_over_the_leash_from_logs_of_the_client_to_its_result(tmp_path: Path) -> None:
    series = series_in(tmp_path / "base", [1.0, 10.0])
    table = {"Name": "Dlogger", "FirstImageCorrelation": True, "Files": [{"RemotePath": [], "LocalPath": "C:\\d.log"}]}
    document = configuration(
        LogDataTables=[table],
        OutputFormats={"csv": True, "hdf": True, "exel": False, "json": False},
        HDFOptions={"IncludeCHI": True, "IncludeTIF": True},
    )
    log = Attachment("C:\\d.log", series.log.read_bytes())
    series.log.unlink()

    async def merge() -> None:
        async with queue(tmp_path / "base") as (_, ask):
            assert await ask("getmergedata") == {"result": "Empty", "data": {}}
            assert "mergecount" not in (await ask("stat"))["data"]["stat"]
            reply = await ask("mergedata", {"mergeconf": document}, [log], encoding="utf-8")
            assert reply == {"result": "merge startedmergedata", "data": {}}
            said = await mergestat(ask, "merged: 2 images in 4 files\n")
            assert f"its clock is shifted by -{AHEAD:.6f} s\n" in said
            assert (await ask("mergestat"))["data"]["mergeinfo"] == ""
            assert (await ask("stat"))["data"]["stat"]["mergecount"] == 1
            assert "mergecount" not in (await ask("stat"))["data"]["stat"]
            reply = await ask("getmergedata")
            assert reply["result"] == "mergedata"
            assert reply["data"]["syncplot"]["CalculatedTimeshift"] == pytest.approx(-AHEAD, abs=1e-3)
            curves = [str(tmp_path / "base" / "work" / f"agbeh_0000{number}.chi") for number in (0, 1)]
            assert reply["data"]["fileslist"]["Radial0"] == curves

    asyncio.run(merge())
    results = series.folder / "results" / "logs"
    found = [float(row["Motor X (Dlogger)"]) for row in rows(results / "data.csv")]
    np.testing.assert_allclose(found, [series.beamline.motor_mm(series.middle(n)) for n in (0, 1)], atol=1e-4)
    with h5py.File(results / "data.hdf") as file:
        key = image_key(str(series.folder / series.exposures[1].name))
        q, intensity, _ = file["Graphs/Radial0"][key]["CHI"][...]
        assert q[np.nanargmax(np.where(q > 0.7, intensity, 0.0))] == pytest.approx(1.0763, abs=0.1)
        assert file["Images"][key].shape == DETECTOR.mask.shape


def test_the_curves_of_a_queue_that_writes_hdf5_go_into_the_merged_file(tmp_path: Path) -> None:
    series = series_in(tmp_path / "base", [1.0, 2.0])

    async def merge() -> None:
        async with queue(tmp_path / "base", outputs="hdf5") as (device, _):
            assert device.control.queue is not None
            await device.control.queue.drained()
            options = {"OutputFormats": {"hdf": True}, "HDFOptions": {"IncludeCHI": True}}
            found = await (await device.control.begin_merge(configuration(**options)))
            newest = device.control.newest_curves()
            assert newest is not None
            with h5py.File(found.files[-1]) as file:
                assert len(file["Graphs/Radial0"]) == 2
                curve = file["Graphs/Radial0"][image_key(newest.image)]
                np.testing.assert_array_equal(curve["CHI"][1], newest.curves[0].intensity)
                assert json.loads(curve["JSON"].asstr()[()])["Wavelength"] == DETECTOR.geometry.wavelength_angstrom
            assert device.control.problem == ""

    asyncio.run(merge())
    assert not list((series.folder / "results" / "logs").glob(".*"))


def test_a_second_merge_is_refused_by_leash_and_device_while_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series_in(tmp_path / "base", [1.0])
    goes_on = threading.Event()
    read_images = merge_job.read_images

    def held(*arguments: Any) -> Any:
        assert goes_on.wait(20.0)
        return read_images(*arguments)

    monkeypatch.setattr(merge_job, "read_images", held)

    async def merge() -> None:
        async with queue(tmp_path / "base") as (device, ask):
            try:
                assert (await ask("mergedata", {"mergeconf": configuration()}))["result"] == "merge startedmergedata"
                refused = {"result": "Error", "data": {"Error": "Merge already started please wait"}}
                assert await ask("mergedata", {"mergeconf": configuration()}) == refused
                run = await device.run("merge", {"configuration": json.dumps(configuration())})
                await until(lambda: device.operations.status(run)["state"] == "FAILED")
                assert device.operations.status(run)["error"] == "BusyError: Merge already started please wait"
                assert (await ask("stat"))["result"] == "stat", "the leash goes on meanwhile"
            finally:
                goes_on.set()
            await mergestat(ask, "merged: 1 images")
            assert (await ask("mergedata", {"mergeconf": configuration()}))["result"] == "merge startedmergedata"
            await mergestat(ask, "merged: 1 images")
            assert (await ask("stat"))["data"]["stat"]["mergecount"] == 2

    asyncio.run(merge())


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"LogDataTables": [{"Name": "D", "Files": [{"RemotePath": ["..", "secret.txt"]}]}]}, "NotAllowedError"),
        ({"LogDataTables": [{"Name": "D", "Files": [{"LocalPath": "/etc/hostname"}]}]}, "NotAllowedError"),
        ({"OutputFileBaseName": "../../out/"}, "NotAllowedError"),
        ({"OutputFormats": {"xml": True}}, "OutputFormats.xml: unknown key"),
        ({"LogDataTables": [{"Name": "D", "Files": [{"RemotePath": ["none.txt"]}]}]}, "LogDataTables[0].Files[0]"),
    ],
)
def test_what_must_not_be_merged_is_refused_at_once(document: dict[str, Any], problem: str, tmp_path: Path) -> None:
    series_in(tmp_path / "base", [1.0])
    (tmp_path / "secret.txt").write_text("t\ta\n1\t2\n")

    async def merge() -> None:
        async with queue(tmp_path / "base") as (_, ask):
            reply = await ask("mergedata", {"mergeconf": document})
            assert reply["result"] == "Error"
            assert problem in reply["data"]["Error"]
            assert (await ask("mergestat"))["data"]["mergeinfo"] == ""

    asyncio.run(merge())
    assert not (series_results := tmp_path / "base" / "data" / "results").exists(), series_results
    assert not (tmp_path / "out").exists()


def test_a_merge_that_fails_says_why_and_leaves_the_result_of_the_one_before(tmp_path: Path) -> None:
    series = series_in(tmp_path / "base", [1.0])

    async def merge() -> None:
        async with queue(tmp_path / "base") as (_, ask):
            await ask("mergedata", {"mergeconf": configuration()})
            await mergestat(ask, "merged: 1 images")
            before = await ask("getmergedata")
            series.log.write_text("t\tShutter\nyesterday\t5\n4\t4\n")
            await ask("mergedata", {"mergeconf": configuration()})
            said = await mergestat(ask, "ProtocolError")
            assert "ProtocolError: datalogger.txt: line 2: 'yesterday' is no time in s\n" in said
            assert await ask("getmergedata") == before
            assert (await ask("stat"))["data"]["stat"]["mergecount"] == 1

    asyncio.run(merge())


def test_a_merge_needs_a_queue(tmp_path: Path) -> None:
    async def merge() -> None:
        async with running(detector(folder(tmp_path / "base"))) as device:
            run = await device.run("merge", {"configuration": "{}"})
            await until(lambda: device.operations.status(run)["state"] == "FAILED")
            assert device.operations.status(run)["error"] == "NotAllowedError: there is no queue: begin one first"
            assert await device.run("merge_result", {}) == {}

    asyncio.run(merge())


def test_the_operation_of_the_device_ends_with_its_files_or_by_an_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_in(tmp_path / "base", [1.0, 2.0])

    async def merge() -> None:
        async with queue(tmp_path / "base") as (device, _):
            run = await device.run("merge", {"configuration": json.dumps(configuration())})
            await until(lambda: device.operations.status(run)["state"] == "DONE", "the merge", 20.0)
            found = device.operations.status(run)["result"]
            assert found["images"] == 2
            assert str(series.folder / "results" / "logs" / "data.csv") in found["files"]
            shown = await device.run("merge_result", {})
            assert shown["files"] == found["files"]
            assert shown["syncplot"]["CalculatedTimeshift"] == pytest.approx(-AHEAD, abs=1e-3)
            assert "FirstImageCorrelation" in json.dumps(await device.run("merge_schema", {}))

            asked = threading.Event()

            def endless(*arguments: Any) -> Any:
                while True:
                    asked.set()
                    arguments[-1](50.0, "")  # raises when the merge is aborted

            monkeypatch.setattr(merge_job, "read_images", endless)
            run = await device.run("merge", {"configuration": json.dumps(configuration())})
            await until(asked.is_set, "the merge runs", 20.0)
            await until(lambda: device.operations.status(run)["progress"] == 50.0, "its progress")
            device.operations.abort(run)
            await until(lambda: device.operations.status(run)["state"] == "ABORTED", "the abort")
            await device.control.merging.stop()
            assert device.control.merge_news().endswith("AbortedError: the merge was aborted\n")

    asyncio.run(merge())
