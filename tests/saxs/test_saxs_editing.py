"""What a calibration editor asks of a SAXS detector, at the device itself."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, RangeError
from devices.drivers.mask_file import encode_fit2d_mask
from devices.saxs import SaxsDetector
from devices.saxs.editing import MAX_UPLOAD_BYTES, MOST_OF_HISTORY
from devices.saxs.results import Attachment
from tests.saxs.beamline import DETECTOR, begin, calibration, detector, folder, image, mask_bytes
from tests.support.running import running, until


async def ready(device: SaxsDetector) -> None:
    await until(lambda: device.connected, "the device is connected")


def test_problems_stand_at_their_keys_and_a_mask_must_fit_the_detector(tmp_path: Path) -> None:
    base = folder(tmp_path)

    async def check(device: SaxsDetector, **changes: Any) -> Any:
        return await device.run("check_calibration", {"calibration": json.dumps(calibration(**changes))})

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            assert list(await check(device)) == []
            (problem,) = await check(device, Wavelength=-1.54)
            assert problem.startswith("Wavelength: ")
            geometry = calibration()["Geometry"]
            (problem,) = await check(device, Geometry={**geometry, "Imagesize": [64, 81]})
            assert problem == "Masks[0].MaskFile: a mask of 64 x 80 px, Geometry.Imagesize says 64 x 81 px"
            (problem,) = await device.run("check_calibration", {"calibration": "{"})
            assert problem.startswith("calibration: not JSON: ")

    asyncio.run(run())


def test_a_mask_that_is_kept_has_a_preview_with_the_same_share_of_masked_pixels(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(detector(folder(tmp_path))) as device:
            await ready(device)
            content = base64.b64encode(mask_bytes()).decode()
            kept = await device.run("keep_mask", {"name": "beam stop.msk", "content": content})
            assert kept == "masks/beam stop.msk"
            found: Any = await device.run("mask_preview", {"file": kept})
            assert (found["rows"], found["columns"], found["masked"]) == (64, 80, int(DETECTOR.mask.sum()))
            pixels = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8).reshape(found["height"], found["width"])
            np.testing.assert_array_equal(pixels == 255, DETECTOR.mask)
            with pytest.raises(BadValueError, match="no folder"):
                await device.run("keep_mask", {"name": "../away.msk", "content": content})
            with pytest.raises((BadValueError, RangeError)):
                await device.run("keep_mask", {"name": "huge.msk", "content": "A" * (MAX_UPLOAD_BYTES + 4)})

    asyncio.run(run())


def test_masks_that_came_with_a_queue_are_kept_for_the_editor(tmp_path: Path) -> None:
    """The names are those of another machine; a file that is somebody else's is not overwritten."""
    base = folder(tmp_path)
    masks = [{"MaskFile": "C:\\saxs\\beam stop.msk"}, {"Name": "all"}, {"MaskFile": "/home/anna/beam stop.msk"}]
    document = calibration(Masks=masks)
    other = encode_fit2d_mask(~DETECTOR.mask)

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            with pytest.raises(NotAllowedError, match="no queue"):
                await device.run("keep_queue_masks", {})
            attached = [Attachment(masks[0]["MaskFile"], mask_bytes()), Attachment(masks[2]["MaskFile"], other)]
            await device.control.new_queue(document, attached)
            for _ in range(2):
                first, none, second = await device.run("keep_queue_masks", {})  # type: ignore[misc]
                assert (first, none) == ("masks/beam stop.msk", "")
                assert (base / first).read_bytes() == mask_bytes()
                assert second.endswith("-beam stop.msk") and (base / second).read_bytes() == other
            for mask, name in zip(masks, (first, none, second), strict=True):
                mask["MaskFile"] = name
            await device.run("new_queue", {"calibration": json.dumps({**document, "Masks": masks})})

    asyncio.run(run())


def test_the_history_is_told_in_parts_that_join(tmp_path: Path) -> None:
    base = folder(tmp_path)

    async def run() -> None:
        async with running(detector(base)) as device:
            await ready(device)
            await begin(device)
            await until(lambda: device.control.follower.is_following, "the folder is watched")
            for name in "abc":
                image(base / "data" / f"{name}.tif")
            await until(lambda: device.images_processed.value == 3, "three images")
            whole: Any = await device.run("integral_history", {})
            series = whole["series"]["R0"]
            assert series["count"] == 3 and sorted(series["file"]) == ["a.tif", "b.tif", "c.tif"]
            assert len(whole["finished"]) == 3
            assert all(value > 0 for value in series["i0"] + series["i1"] + series["i2"])
            rest: Any = await device.run("integral_history", {"since": 2})
            assert rest["series"]["R0"]["i0"] == series["i0"][2:] and rest["series"]["R0"]["count"] == 3
            # Of a long queue, one part; the last one is short.
            known = device.control.queue
            assert known is not None
            one = known.series["R0"]
            for column in (one.time, one.file, one.i0, one.i1, one.i2):
                column += [column[0]] * (MOST_OF_HISTORY + 7 - 3)  # type: ignore[operator]
            first: Any = await device.run("integral_history", {})
            second: Any = await device.run("integral_history", {"since": MOST_OF_HISTORY})
            assert [len(each["series"]["R0"]["time"]) for each in (first, second)] == [MOST_OF_HISTORY, 7]
            assert len(json.dumps(first)) < 1_000_000

    asyncio.run(run())


def test_a_geometry_comes_from_a_poni_file_and_goes_there(tmp_path: Path) -> None:
    """The rest of the calibration stays; a wrong file says what it is not."""

    async def run() -> None:
        async with running(detector(folder(tmp_path))) as device:
            await ready(device)
            mine = calibration()
            poni = str(await device.run("export_poni", {"calibration": json.dumps(mine)}))
            assert "Poni1" in poni and "Distance" in poni
            geometry = {**mine["Geometry"], "DedectorDistanceMM": 1.0, "BeamCenter": [1.0, 2.0]}
            template = json.dumps({**mine, "Geometry": geometry, "Title": "kept"})
            arguments = {"name": "agbeh.poni", "content": poni, "template": template}
            found: Any = await device.run("import_calibration", arguments)
            back = found["calibration"]
            assert (found["format"], back["Title"], back["Masks"]) == ("PONI", "kept", mine["Masks"])
            for key in ("DedectorDistanceMM", "BeamCenter"):
                assert back["Geometry"][key] == pytest.approx(mine["Geometry"][key], rel=1e-9)
            with pytest.raises(DiptychError, match=r"notes\.txt: neither JSON"):
                await device.run("import_calibration", {**arguments, "name": "notes.txt", "content": "lunch at 12"})
            with pytest.raises(BadValueError, match="template: not a JSON object"):
                await device.run("import_calibration", {**arguments, "template": "[]"})

    asyncio.run(run())
