"""The display of a camera: regions in all coordinates, in a browser and in a ds9."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from devices.ccd.display import CcdDisplay
from devices.core.errors import BadValueError, BusyError, ConfigurationError, NotAllowedError, RangeError
from devices.drivers.ccd_fits import write_image
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.detector import FocalPlane, Format, Roi
from devices.pipelines.ccd.geometry import make_geometry
from tests.support.ds9 import real_ds9
from tests.support.running import running, until
from tests.support.xpa_peer import xpa_peer

IMAGE_BOXES = "regions -format ds9 -system image -strip yes"


def image(roi: Roi | None = None) -> CcdImage:
    """Four amplifiers read at the four corners: 1000 * amplifier + row, in the order of reading."""
    geometry = make_geometry(Format(60, 0, 0, 4, 40), FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), roi or Roi(1, 60, 1, 40))
    amp, row, _ = np.indices(geometry.amp_shape)
    return CcdImage((1000 * amp + row).astype(np.uint16), geometry)


async def ended(display: CcdDisplay, name: str, **words: Any) -> dict[str, Any]:
    identity = await display.run(name, words)
    await until(
        lambda: display.operations.status(identity)["state"] in ("DONE", "FAILED", "ABORTED"), f"the end of {name}", 20
    )
    return display.operations.status(identity)


def test_the_region_of_a_browser_is_a_box_in_all_coordinates(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(CcdDisplay("ccd/1/display", {"folders": str(tmp_path)})) as display:
            with pytest.raises(NotAllowedError, match="no image yet"):
                await display.run("get_stats", {"roi_number": 0})
            await display.show(image(Roi(3, 56, 5, 36, 2, 1)), "a.0007.fits")
            assert (await display.run("get_rois", {})) == {"rois": [[1, 26, 1, 32]]}
            await display.run("draw_box", {"x": 25.5, "y": 31.5, "columns": 2, "rows": 2})
            assert (await display.run("get_rois", {})) == {"rois": [[25, 26, 31, 32]]}
            assert (await display.run("get_rois", {"coordinates": "detector"})) == {"rois": [[55, 58, 35, 36]]}
            # Its amplifier is read from column 60 and row 40.
            assert (await display.run("get_rois", {"coordinates": "amplifier"})) == {"rois": [[3, 6, 5, 6]]}
            assert (await display.run("get_stats", {"roi_number": 0}))["mean"] == 3000.5
            assert (await display.run("get_data", {}))["pixels"] == [3001, 3001, 3000, 3000]
            for roi in (1, 7):
                with pytest.raises(RangeError, match=rf"roi_number = {roi} is outside \[0, 0\]"):
                    await display.run("get_stats", {"roi_number": roi})
            with pytest.raises(RangeError, match="none of image, detector, amplifier"):
                await display.run("get_rois", {"coordinates": "sky"})
            await display.run("delete_all_rois")
            assert display.region.value.tolist() == [0, 0, 0, 0]
            with pytest.raises(NotAllowedError, match="viewer = browser: zoom needs a ds9"):
                await display.run("zoom", {"factor": 2.0})

            saved = (await ended(display, "save_image", path="seen.png"))["result"]["file"]
            with Image.open(saved) as seen:
                pixels = np.asarray(seen)
            assert pixels.shape == (32, 26)
            assert pixels[-1, 0] < 10 < 240 < pixels[0, 0 + 25]  # the first amplifier is at the bottom left
            assert (await ended(display, "save_image", path="/etc/seen.png"))["state"] == "FAILED"
            assert (await ended(display, "save_fits", path="seen.fits"))["state"] == "DONE"
            assert (await ended(display, "display", path="a.0007.fits"))["state"] == "DONE"
            assert display.full_image.value.shape == (32, 26)
            assert "no files" in (await ended(display, "display", path="b.fits"))["error"]

    asyncio.run(work())


def test_ds9_gets_each_image_and_its_boxes_are_ours() -> None:
    async def work() -> None:
        async with xpa_peer() as peer:
            given = {"viewer": "xpa", "ds9": "tests", "name_server": f"tcp://127.0.0.1:{peer.name_server_port}"}
            async with running(CcdDisplay("ccd/1/display", given)) as display:
                display.offer(image(), "a.0001.fits")
                await until(lambda: display.shown.value == "a.0001.fits", "the image in ds9")
                words, content = peer.told[-1]
                assert (words, content[:9]) == ("fits a.0001.fits", b"SIMPLE  =")

                peer.answers["file"] = b"a.0001.fits\n"
                peer.answers[IMAGE_BOXES] = b"image;box(10.5,8.5,4,6,0);circle(5,5,2);box(58.5,38.5,4,2,0);\n"
                rois = (await display.run("get_rois", {"coordinates": "amplifier"}))["rois"]
                assert rois == [[9, 12, 6, 11], [1, 4, 2, 3]]
                assert (await display.run("get_stats", {"roi_number": 1}))["minimum"] == 3001.0
                await display.run("draw_box", {"x": 3, "y": 4, "columns": 5, "rows": 7, "angle": 30})
                assert peer.told[-1][0] == "regions command {box(3i,4i,5i,7i,30)}"

                # Somebody loads another file: ds9 says what its keywords mean, and pixels of ours are none of it.
                peer.answers["file"] = b"/data/ngc1.fits\n"
                peer.answers["regions -format ds9 -system detector -strip yes"] = b"detector;box(2010.5,8.5,4,-6,0)\n"
                found = await display.run("get_rois", {"coordinates": "detector"})
                assert found == {"rois": [[2009, 2012, 6, 11]]}
                with pytest.raises(NotAllowedError, match="something else"):
                    await display.run("get_stats", {"roi_number": 0})

    asyncio.run(work())


def test_a_ds9_that_is_closed_costs_a_line_and_waiting_for_a_key_costs_nobody_an_image() -> None:
    async def work() -> None:
        async with xpa_peer() as peer:
            given = {"viewer": "xpa", "ds9_address": f"tcp://127.0.0.1:{peer.port}", "ds9": "tests"}
            async with running(CcdDisplay("ccd/1/display", given)) as display:
                await until(lambda: display.connected, "the display")
                peer.answers["imexam any coordinate image"] = None
                identity = await display.run("exam", {})
                await until(lambda: display.waits_for_key, "ds9 waits")
                with pytest.raises(BusyError, match="ds9 waits for a key"):
                    await display.run("zoom", {})
                display.offer(image(), "a.0001.fits")
                await until(lambda: display.columns.value == 60, "the image, in browsers")
                assert display.shown.value == ""
                await display.run("abort", {"id": identity})
                await until(lambda: display.shown.value == "a.0001.fits", "the image, in ds9")
        async with running(CcdDisplay("ccd/1/display", given)) as display:
            display.offer(image(), "a.0002.fits")
            await until(lambda: "NotConnectedError" in display.viewer_problem.value, "what is wrong")
            assert display.state.name == "ON"
            assert display.columns.value == 60

    asyncio.run(work())


def test_wrong_properties_are_refused_at_the_start() -> None:
    for given, text in (
        ({"viewer": "xpa", "ds9_address": "ds9.example"}, "ds9_address = ds9.example"),
        ({"folders": "images"}, "images: not an absolute path"),
        ({"name_server": "nowhere"}, "tcp://HOST:PORT"),
        ({"viewer": "paper"}, "paper"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            CcdDisplay("ccd/1/display", given)


def test_a_real_ds9_shows_what_the_camera_took(tmp_path: Path) -> None:
    write_image(tmp_path / "mosaic.fits", image(), "MEF")
    (tmp_path / "note.txt").write_text("no image")

    async def work(port: int) -> None:
        given = {"viewer": "xpa", "name_server": f"tcp://127.0.0.1:{port}", "folders": str(tmp_path)}
        async with running(CcdDisplay("ccd/1/display", given)) as display:
            display.offer(image(Roi(3, 56, 5, 36, 2, 1)), "a.0001.fits")
            await until(lambda: display.shown.value == "a.0001.fits", "the image in ds9", 20)
            await display.run("draw_box", {"x": 25.5, "y": 31.5, "columns": 2, "rows": 2})
            assert (await display.run("get_rois", {"coordinates": "detector"})) == {"rois": [[55, 58, 35, 36]]}
            assert (await display.run("get_data", {"roi_number": 0}))["pixels"] == [3001, 3001, 3000, 3000]
            ds9 = display.ds9_program
            assert ds9 is not None
            # The lowest row of ds9 is the first one of the file.
            assert await ds9.values(1, 2, 1, 1) == {(1, 2): 1.0}
            await display.run("delete_all_rois")
            assert (await display.run("get_rois", {})) == {"rois": []}
            await display.run("zoom", {"factor": 0.0})

            assert (await ended(display, "display", path="mosaic.fits"))["state"] == "DONE"
            await ds9.link.set("regions command {box(57.5p,5.5p,4p,2p)}")
            assert (await display.run("get_rois", {"coordinates": "amplifier"})) == {"rois": [[2, 5, 5, 6]]}
            assert "is not a FITS file" in (await ended(display, "display", path="note.txt"))["error"]
            assert (await ended(display, "display"))["state"] == "DONE"
            assert display.shown.value == "a.0001.fits"
            saved = (await ended(display, "save_image", path="seen.png"))["result"]["file"]
            with Image.open(saved) as seen:
                assert min(seen.size) > 10
            with pytest.raises(BadValueError, match="not one word"):
                await display.run("set_cursor_mode", {"mode": "pan; quit"})

    with real_ds9(tmp_path) as found:
        asyncio.run(work(found.name_server_port))
