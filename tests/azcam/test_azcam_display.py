"""azcam's words for the display, and the last image written once more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from astropy.io import fits

from tests.azcam.console import Served, on_camera


def test_words_of_the_display_and_the_image(tmp_path: Path) -> None:
    async def test(found: Served) -> None:
        async def says(request: str, reply: str) -> None:
            assert await found.lines(request) == [reply], request

        await says("exposure.image.write_file again.fits 1", "ERROR NotAllowedError('there is no image yet')")
        await says("exposure.expose 0 zero", "OK")
        await says("display.get_number_rois", "OK 1")
        await says("display.draw_box [10.5,8.5] [4,6]", "OK")
        await says("display.get_rois 0 image", "OK 9 12 6 11")
        await says("display.get_rois", "OK [9, 12, 6, 11]")
        await says("display.get_box", "OK 9 12 6 11")
        # The second amplifier is read from column 60.
        await says("display.draw_box [58.5,8.5] [4,6]", "OK")
        await says("display.get_rois 0 amplifier", "OK 1 4 6 11")
        await says("display.get_rois 2 detector", "ERROR RangeError('roi_number = 2 is outside [0, 0]')")
        # Its rows are 1000 + 5 ... 1000 + 10.
        await says("display.get_stats 0", "OK 1007.5 1007.5 1.707825127659933 1005.0 1010.0")
        await says("display.delete_all_rois", "OK")
        await says("display.get_box", "OK 1 60 1 40")
        await says("display.zoom 2", "ERROR NotAllowedError('viewer = browser: zoom needs a ds9')")
        await says("display.find_displays", "OK")
        await says(
            "display.set_cursor_mode point 1", "ERROR NotAllowedError('viewer = browser: set_cursor_mode needs a ds9')"
        )
        await says("display.display", "OK")
        await says("exposure.set_temp_files", "OK")

        await says("exposure.image.write_file again.fits 6", "OK")
        pixels = await asyncio.to_thread(fits.getdata, found.camera.folder / "again.fits")
        assert pixels.shape == (40, 60)
        assert (pixels[0, 0], pixels[0, 59], pixels[39, 59]) == (0, 1000, 3000)
        assert np.array_equal(pixels[:20, 0], np.arange(20))
        [again] = await found.lines("exposure.image.write_file again.fits 6")
        assert again.startswith("ERROR BadValueError(")
        await says(
            "exposure.image.write_file x.fits 5",
            "ERROR RangeError('filetype = 5 is none of 0 FITS, 1 MEF, 2 BIN, 6 ASM')",
        )
        [outside] = await found.lines("exposure.image.write_file /etc/x.fits")
        assert outside.startswith("ERROR NotAllowedError(")

    on_camera(tmp_path, test)
