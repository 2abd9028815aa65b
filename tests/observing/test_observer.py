"""The observer of a camera: scripts that run, fail, pause, crash and go on; estimates against what it took."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from devices.ccd.observing.observer import CcdObserver
from devices.core.client import asked_by
from devices.core.errors import BadValueError, BusyError, NotAllowedError, NotConnectedError, RangeError
from tests.ccd.camera import REFUSED, Camera, camera
from tests.support.running import running, until

HEADER = "command,target,ra,dec,filter,type,seconds,repeats,east,north,focus,text,on_failure\n"


@dataclass
class Observatory:
    """A camera and its observer."""

    camera: Camera
    observer: CcdObserver

    async def load(self, *rows: str, name: str = "n.csv") -> None:
        await self.observer.run("load_text", {"name": name, "text": HEADER + "\n".join(rows)})

    async def start(self, operation: str = "observe", **words: Any) -> str:
        return str(await self.observer.run(operation, words))

    async def ended(self, identity: str, seconds: float = 30.0) -> dict[str, Any]:
        await until(
            lambda: self.observer.operations.status(identity)["state"] in ("DONE", "FAILED", "ABORTED"),
            f"the end of {identity}",
            seconds,
        )
        return self.observer.operations.status(identity)

    async def observe(self, *rows: str, **words: Any) -> dict[str, Any]:
        """Load a script and carry it out."""
        await self.load(*rows)
        return await self.ended(await self.start(**words))

    async def pauses(self, seconds: float = 30.0) -> str:
        await until(lambda: self.observer.paused.value, "it pauses", seconds)
        return self.observer.question.value

    def log(self) -> list[dict[str, str]]:
        """The log of this night."""
        with Path(self.observer.log_file.value).open(newline="") as file:
            return list(csv.DictReader(file))


@asynccontextmanager
async def observatory(folder: Path, **properties: Any) -> AsyncIterator[Observatory]:
    async with camera(folder / "data") as found:
        given = {"exposure": "ccd/1/exposure", "folder": str(folder / "scripts"), "retry_delay": 0.01, **properties}
        observer = CcdObserver("ccd/1/observer", given)
        observer.peers = found.exposure.peers
        observer.peers.add(observer)
        async with running(observer):
            await until(lambda: observer.state.name == "ON", "the observer is ready", 30.0)
            yield Observatory(found, observer)


def night(folder: Path, test: Callable[[Observatory], Awaitable[None]], **properties: Any) -> None:
    async def work() -> None:
        async with observatory(folder, **properties) as found:
            await test(found)

    asyncio.run(work())


def test_a_script_moves_telescope_filter_and_focus_and_takes_its_images(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        # A place that never sets: tests run at any time of the day.
        status = await found.observe(
            ",NGC 188,00:47:27.5,+85:14:38,B,object,0.02,2,,,,,",
            ",NGC 188,00:47:27.5,+85:14:38,V,object,0.01,,30,-12,,,",
            "steptel,,,,,,,,-7.5,,,,",
            "movefocus,,,,,,,,,,1250,,",
            "stepfocus,,,,,,,,,,-50,,",
            ",,,,,object,0.01,,,,,,",
            "comment,,,,,,,,,,,\"now, the biases\",",
            "delay,,,,,,0.05,,,,,,",
            ",,,,,zero,,2,,,,,",
        )  # fmt: skip
        assert status["state"] == "DONE", status
        assert status["result"]["rows"] == {"done": 9, "failed": 0, "skipped": 0}
        assert status["result"]["images"] == 6
        headers = [fits.getheader(path) for path in sorted((tmp_path / "data").glob("a.*.fits"))]
        assert [each["OBJECT"] for each in headers] == ["NGC 188", "NGC 188", "NGC 188", "object", "zero", "zero"]
        assert [each["IMAGETYP"] for each in headers] == ["object"] * 4 + ["zero"] * 2
        assert [each["FILTER"] for each in headers] == ["B", "B", "V", "V", "V", "V"]
        assert headers[0]["RA"].startswith("00:47:27.5") and headers[0]["DEC"].startswith("+85:14:38")
        assert (headers[2]["RAOFFST"], headers[2]["DECOFFST"]) == (30.0, -12.0)
        # A step goes from where the telescope is.
        assert (headers[3]["RAOFFST"], headers[3]["DECOFFST"]) == (22.5, -12.0)
        assert found.camera.instrument.focus.value == 1200.0
        lines = found.log()
        assert [line["outcome"] for line in lines] == ["begun", *["done"] * 11, "ended"]
        images = [line for line in lines if line["file"]]
        assert [Path(line["file"]).name for line in images] == [f"a.{number:04d}.fits" for number in range(1, 7)]
        assert [(line["row"], line["image"]) for line in images][:3] == [("1", "1"), ("1", "2"), ("2", "1")]
        assert images[0]["right_ascension"] == "00:47:27.5" and images[0]["declination"] == "+85:14:38"
        assert [line["problem"] for line in lines if line["command"] == "comment"] == ["now, the biases"]
        assert found.observer.unfinished.value == ""

    night(tmp_path, test)


def test_what_the_camera_has_not_is_told_before_anything_moves(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        with pytest.raises(BadValueError) as refused:
            await found.load(",M42,1,2,B,object,1,,,,,,", ",M43,3,4,U,quartz2,1,,,,,,")
        first, *faults = str(refused.value).splitlines()
        assert first == "n.csv has 2 faults; nothing was done:"
        assert faults[0].startswith("line 3, type = 'quartz2': none of zero, ") and "ThAr" in faults[0]
        assert faults[1] == "line 3, filter = 'U': none of clear, B, V, R, I"
        assert (await found.ended(await found.start()))["error"].startswith("NotAllowedError: no script is loaded")
        assert found.camera.link.asked == []

    night(tmp_path, test)


def test_scripts_lie_in_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        (tmp_path / "scripts" / "biases.yaml").write_text("- {type: zero, repeats: 2}\n")
        (tmp_path / "outside.yaml").write_text("- {type: zero}\n")
        status = await found.ended(await found.start(script="biases.yaml"))
        assert (status["state"], status["result"]["images"]) == ("DONE", 2)
        await until(lambda: found.observer.scripts.value == ("biases.yaml",), "it is listed", 15.0)
        with pytest.raises(NotAllowedError, match="outside the folders"):
            await found.observer.run("load", {"script": "../outside.yaml"})
        with pytest.raises(BadValueError, match="cannot be read"):
            await found.observer.run("load", {"script": "missing.csv"})

    (tmp_path / "scripts").mkdir()
    night(tmp_path, test)


@pytest.mark.parametrize(
    ("policy", "faults", "state", "rows"),
    [
        ("stop", 1, "FAILED", None),
        ("skip", 1, "DONE", {"done": 1, "failed": 1, "skipped": 0}),
        ("retry 2", 2, "DONE", {"done": 2, "failed": 0, "skipped": 0}),
        ("retry 2", 3, "FAILED", None),
        ("retry 1 skip", 2, "DONE", {"done": 1, "failed": 1, "skipped": 0}),
    ],
)  # fmt: skip
def test_a_failure_does_what_the_policy_says(
    tmp_path: Path, policy: str, faults: int, state: str, rows: dict[str, int] | None
) -> None:
    async def test(found: Observatory) -> None:
        left = itertools.count(faults, -1)
        read = found.camera.link.read_image

        async def failing(pixels_left: Any) -> Any:
            if next(left) > 0:
                raise REFUSED
            return await read(pixels_left)

        found.camera.link.read_image = failing  # type: ignore[method-assign]
        status = await found.observe(f",,,,,dark,0.01,,,,,,{policy}", ",,,,,zero,,,,,,,")
        assert status["state"] == state, status
        if rows is None:
            assert status["error"].startswith("RefusedError: row 1 (line 2), obs dark 0.01 s")
            assert "?3F" in status["error"]
            assert found.observer.unfinished.value == "n.csv: row 1 of 2"
        else:
            assert status["result"]["rows"] == rows
        assert [line["outcome"] for line in found.log()].count("failed") == faults
        assert "RefusedError" in found.observer.last_failure.value

    night(tmp_path, test)


def test_the_row_goes_before_the_operator_the_operator_before_the_script(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        # Nothing that stands at a declination of -80 deg is ever seen from 32 deg north.
        found.camera.telescope.properties = type(found.camera.telescope.properties)(lowest_altitude=15.0)
        below = ",south,12:00:00,-80:00:00,,object,0.01,,,,,,"
        await found.observer.put("on_failure", "skip")
        assert (await found.observe(below, below))["state"] == "DONE"
        assert (await found.observe("policy,,,,,,,,,,,,stop", below))["state"] == "FAILED"
        assert (await found.observe("policy,,,,,,,,,,,,stop", below, on_failure="Skip"))["state"] == "DONE"
        status = await found.observe(below + "stop", on_failure="skip")
        assert status["error"].startswith("RangeError: row 1 (line 2), obs south object 0.01 s (stop): altitude = -")
        with pytest.raises(BadValueError, match=r"on_failure = 'shrug': stop, skip, pause, retry N"):
            await found.observer.put("on_failure", "shrug")

    night(tmp_path, test)


def test_a_pause_waits_for_the_image_frees_the_camera_and_goes_on(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        observer, exposure = found.observer, found.camera.exposure
        await found.load(",,,,,dark,0.3,3,,,,,")
        with pytest.raises(NotAllowedError, match="no script runs"):
            await observer.run("pause")
        identity = await found.start()
        await until(lambda: exposure.exposure_state.value.value == "Exposing", "the first image", 30.0)
        assert exposure.reserved_by.value == "observing n.csv"
        with asked_by("somebody else"), pytest.raises(NotAllowedError, match=r"reserved by observing n\.csv"):
            await exposure.run("expose", {"seconds": 1.0})
        with pytest.raises(BusyError, match=r"n\.csv runs: row 1"):
            await found.load(",,,,,zero,,,,,,,")
        await observer.run("pause")
        assert observer.pauses_soon.value
        assert await found.pauses() == "paused"
        assert observer.image.value == 1, "the image was taken to its end"
        assert exposure.reserved_by.value == ""
        with asked_by("somebody else"):
            assert (await found.camera.run("test", seconds=0.01))["state"] == "DONE"
            await exposure.run("reserve", {"name": "somebody", "seconds": 60.0})
        await observer.run("resume")
        await until(lambda: "reserved by somebody" in observer.question.value, "it cannot go on", 30.0)
        await exposure.run("release", {"name": "somebody"})
        await observer.run("resume")
        status = await found.ended(identity)
        assert (status["state"], status["result"]["images"]) == ("DONE", 3)
        assert exposure.reserved_by.value == ""

    night(tmp_path, test)


def test_a_failure_may_ask_and_is_tried_again_or_left(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        found.camera.link.faults["read_image"] = REFUSED
        await found.load(",,,,,dark,0.01,,,,,,pause", "prompt,,,,,,,,,,,open the dome,", ",,,,,zero,,5,,,,,")
        identity = await found.start()
        assert (await found.pauses()).startswith("row 1, obs dark 0.01 s (pause): RefusedError:")
        found.camera.link.faults["read_image"] = REFUSED
        await found.observer.run("resume")
        await until(lambda: not found.observer.paused.value, "it tries again", 30.0)
        assert "RefusedError" in await found.pauses()
        await found.observer.run("resume")
        await until(lambda: found.observer.question.value == "open the dome", "the prompt", 30.0)
        await found.observer.run("resume")
        await until(lambda: found.observer.row.value == 3, "the biases", 30.0)
        await found.observer.run("skip")
        status = await found.ended(identity)
        assert status["result"]["rows"] == {"done": 2, "failed": 0, "skipped": 1}
        assert 1 <= status["result"]["images"] < 6

    night(tmp_path, test)


def test_a_delay_is_left_by_a_skip_and_the_next_row_is_done(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        await found.load("delay,,,,,,600,,,,,,", ",,,,,zero,,,,,,,")
        identity = await found.start()
        await until(lambda: found.observer.time_left.value > 500.0, "it waits", 30.0)
        await found.observer.run("skip")
        assert (await found.ended(identity))["result"]["rows"] == {"done": 1, "failed": 0, "skipped": 1}
        assert found.observer.row_states.value == ("skipped", "done")

    night(tmp_path, test)


def test_an_image_that_somebody_aborts_pauses_the_script_whatever_its_policy(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        await found.load(",,,,,dark,20,,,,,,retry 5 skip")
        identity = await found.start()
        await until(lambda: found.camera.exposure.exposure_state.value.value == "Exposing", "it exposes", 30.0)
        with asked_by("somebody else"):
            await found.camera.abort()
        assert "AbortedError" in await found.pauses()
        await found.observer.run("skip")
        assert (await found.ended(identity))["result"]["rows"] == {"done": 0, "failed": 1, "skipped": 0}

    night(tmp_path, test)


def test_an_abort_ends_the_image_and_leaves_the_camera_free(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        await found.load(",,,,,zero,,,,,,,", ",,,,,dark,20,,,,,,")
        identity = await found.start()
        await until(lambda: found.camera.exposure.exposure_state.value.value == "Exposing", "it exposes", 30.0)
        await found.observer.run("abort", {"id": ""})
        assert (await found.ended(identity, 10.0))["state"] == "ABORTED"
        assert found.camera.exposure.exposure_state.value.value == "Idle"
        assert found.camera.exposure.reserved_by.value == ""
        assert found.observer.unfinished.value == "n.csv: row 2 of 2"
        assert found.log()[-1]["problem"] == "aborted by a client"
        # Both work again.
        assert (await found.observe(",,,,,zero,,,,,,,"))["state"] == "DONE"
        assert found.observer.unfinished.value == ""

    night(tmp_path, test)


def test_a_camera_that_another_client_has_reserved_is_left_alone(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        exposure = found.camera.exposure
        await found.load(",,,,,zero,,,,,,,")
        with asked_by("a plan"):
            await exposure.run("reserve", {"name": "bluesky", "seconds": 60.0})
        with asked_by("somebody else"):
            status = await found.ended(await found.start())
        assert status["error"] == f"NotAllowedError: observing: ccd/1/exposure is {exposure.reservation}"
        assert found.camera.link.asked == []
        # Who has reserved it lends it.
        with asked_by("a plan"):
            assert (await found.ended(await found.start()))["state"] == "DONE"
        assert exposure.reserved_by.value == "bluesky"

    night(tmp_path, test)


def test_after_a_crash_a_night_goes_on_behind_the_last_image(tmp_path: Path) -> None:
    rows = (
        ",M42,05:35:17.3,-05:23:28,V,object,0.01,,60,,,,",
        "movefocus,,,,,,,,,,700,,",
        "policy,,,,,,,,,,,,skip",
        ",,,,,object,0.01,4,,,,,",
        ",,,,,zero,,,,,,,",
    )

    async def before(found: Observatory) -> None:
        found.camera.link.holds["read_image"] = gate = asyncio.Event()
        gate.set()
        await found.load(*rows)
        await found.start()
        await until(lambda: (found.observer.row.value, found.observer.image.value) == (4, 2), "two images", 20.0)
        gate.clear()
        # The power fails here: what the journal has now is all that is left.
        journal = found.observer.journal.path
        saved.append(journal.read_bytes() + b'{"row": 4, "ima')

    async def after(found: Observatory) -> None:
        observer = found.observer
        images = json.loads(saved[0].splitlines()[-2])["images"]
        assert observer.unfinished.value == f"n.csv: row 4 of 5, {images} images of it"
        # A real camera remembers its number; this one's store is gone.
        await found.camera.exposure.put("image_number", 50)
        status = await found.ended(await found.start("carry_on"))
        assert status["state"] == "DONE", status
        assert status["result"]["images"] == 4 - images + 1
        headers = [fits.getheader(path) for path in sorted((tmp_path / "data").glob("a.*.fits"))][-(5 - images) :]
        # What the rows before had set is there again: place with its offset, filter, focus.
        assert {each["FILTER"] for each in headers} == {"V"}
        assert headers[0]["DEC"].startswith("-05:23:28")
        assert headers[0]["RA"].startswith("05:35:21.3"), "60 arcsec east of 17.3 s"
        assert observer.unfinished.value == ""
        with pytest.raises(NotAllowedError, match="nothing to carry on"):
            status = await found.ended(await found.start("carry_on"))
            raise NotAllowedError(status["error"])
        assert observer.row_states.value == ("", "", "", "done", "done")

    saved: list[bytes] = []
    night(tmp_path, before)
    (tmp_path / "scripts" / "observer.journal").write_bytes(saved[0])
    night(tmp_path, after)


def test_a_script_begins_with_any_row(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        rows = (",M42,05:35:17.3,-05:23:28,R,object,9,5,,,,,", ",,,,,object,0.01,,,,,,", "quit,,,,,,,,,,,,", "dance")
        await found.load(*rows[:3])
        status = await found.ended(await found.start(first_row=2))
        assert status["result"]["images"] == 1
        header = fits.getheader(next((tmp_path / "data").glob("a.0001.fits")))
        assert (header["FILTER"], header["DEC"][:9]) == ("R", "-05:23:28")
        status = await found.ended(await found.start(first_row=4))
        assert status["error"] == "RangeError: first_row = 4 is outside [1, 3]"

    night(tmp_path, test)


def test_test_images_are_named_test_and_not_counted(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        status = await found.observe("test,,,,,flat,0.01,2,,,,,", ",,,,,zero,,,,,,,")
        assert status["result"]["images"] == 3
        assert sorted(path.name for path in (tmp_path / "data").glob("*.fits")) == ["a.0001.fits", "test.fits"]
        assert not found.camera.exposure.test_image.value

    night(tmp_path, test)


def test_a_disk_that_takes_no_log_ends_the_script_before_anything_moves(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        (tmp_path / "scripts").write_text("a file where the folder ought to be")
        await found.load(",,,,,zero,,,,,,,")
        status = await found.ended(await found.start())
        assert status["error"].startswith("StorageError:") and "cannot be written" in status["error"]
        assert found.camera.link.asked == []

    night(tmp_path, test)


# Estimates ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_times_airmass_and_what_the_telescope_refuses(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        telescope, observer = found.camera.telescope, found.observer
        telescope.properties = type(telescope.properties)()  # from 15 deg of altitude, 4 deg/s, at 32.4 deg north
        for name, value in (("exposure_overhead", 2.0), ("filter_seconds", 3.0), ("slew_overhead", 0.5)):
            await observer.put(name, value)
        await found.load(
            ",pole,00:00:00,+90:00:00,B,object,100,3,,,,,",
            ",pole,00:00:00,+90:00:00,V,object,50,,,,,,",
            "delay,,,,,,30,,,,,,",
            ",south,00:00:00,-75:00:00,V,object,50,,,,,,",
        )
        moved = found.camera.telescope.right_ascension.value
        found_table = await observer.run("timetable", {"begin": "2026-11-22T02:30"})
        steps = found_table["steps"]
        # The pole stands as high as the latitude, all night; its airmass is 1 / sin(32.44 deg).
        assert steps[0]["altitude"] == pytest.approx(32.44, abs=0.3)
        assert steps[0]["airmass"] == pytest.approx(1.864, abs=0.02)
        slew = steps[0]["exposes"] - steps[0]["begins"]
        assert 3.5 < slew < 60.0, "a slew, its overhead, a filter"
        assert steps[0]["ends"] - steps[0]["exposes"] == pytest.approx(3 * 102.0, abs=0.2)
        # The next row begins where it is, with another filter.
        assert steps[1]["exposes"] - steps[1]["begins"] == pytest.approx(3.0, abs=0.2)
        assert steps[2]["ends"] - steps[2]["begins"] == pytest.approx(30.0, abs=0.2)
        assert steps[0]["begins"] == pytest.approx(1795314600.0)
        assert [len(step["violations"]) for step in steps] == [0, 0, 0, 1]
        assert (
            steps[3]["violations"][0].startswith("altitude = -")
            and "is outside [15, 90] deg" in steps[3]["violations"][0]
        )
        assert found_table["images"] == 5 and found_table["violations"] == 1
        assert found.camera.link.asked == [] and abs(telescope.right_ascension.value - moved) < 0.1
        with pytest.raises(BadValueError, match="begin = 'dusk'"):
            await observer.run("timetable", {"begin": "dusk"})
        with pytest.raises(RangeError, match="first_row = 5"):
            await observer.run("timetable", {"first_row": 5})

    night(tmp_path, test)


def test_a_target_that_sets_while_it_is_exposed_is_told(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        telescope = found.camera.telescope
        telescope.properties = type(telescope.properties)()
        # On the equator, 4.5 h west of the meridian: 15 deg are reached within the hour.
        hours = (telescope.sidereal_time.value - 4.5) % 24.0
        await found.load(f",setting,{hours:.5f},0,,object,60,,,,,,", f",setting,{hours:.5f},0,,object,3600,,,,,,")
        steps = (await found.observer.run("timetable"))["steps"]
        assert steps[0]["altitude"] > 15.0
        assert [len(step["violations"]) for step in steps] == [0, 1]

    night(tmp_path, test)


@pytest.mark.long
def test_the_estimate_is_what_it_takes(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        telescope = found.camera.telescope
        telescope.mount._model.rate, telescope.mount._model.acceleration = 200.0, 800.0  # type: ignore[attr-defined]
        rows = (
            ",pole,00:00:00,+80:00:00,B,object,0.2,3,,,,,",
            ",pole,12:00:00,+80:00:00,V,object,0.1,2,20,,,,",
            "delay,,,,,,0.5,,,,,,",
            ",,,,B,object,0.1,3,,,,,",
        )
        # The first run measures; the second one is as long as was foreseen.
        assert (await found.observe(*rows))["state"] == "DONE"
        await found.load("movetel,,06:00:00,+60:00:00,,,,,,,,,")
        await found.ended(await found.start())
        await found.load(*rows)
        expected = (await found.observer.run("timetable"))["seconds"]
        assert expected > 1.8
        status = await found.ended(await found.start())
        assert status["result"]["seconds"] == pytest.approx(expected, rel=0.25)

    night(tmp_path, test, slew_rate=200.0, acceleration=800.0)


def test_a_camera_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def test(found: Observatory) -> None:
        with pytest.raises(NotConnectedError, match="ccd/2/exposure is not in this server"):
            await found.load(",,,,,zero,,,,,,,")

    night(tmp_path, test, exposure="ccd/2/exposure")
