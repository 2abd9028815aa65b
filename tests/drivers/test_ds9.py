"""A real ds9 on a screen that nobody sees: what it shows is the file, what it says of regions is what we say."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devices.core.errors import NotConnectedError, RefusedError
from devices.drivers.ccd_fits import write_image
from devices.drivers.ds9 import Ds9, SampLink, XpaLink
from devices.drivers.samp import SampHub
from devices.drivers.xpa import NameServer
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.deinterlace import assembled
from devices.pipelines.ccd.detector import FocalPlane, Format, Roi
from devices.pipelines.ccd.geometry import make_geometry
from devices.pipelines.ccd.region import Box, on_amplifier
from tests.support.ds9 import real_ds9


def image(roi: Roi) -> CcdImage:
    """Four amplifiers read at the four corners: 10000 * amplifier + 100 * column + row, in the order of reading."""
    geometry = make_geometry(Format(60, 0, 0, 4, 40), FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), roi)
    amp, row, column = np.indices(geometry.amp_shape)
    return CcdImage((10_000 * amp + 100 * column + row).astype(np.uint16), geometry)


async def shows_the_picture(ds9: Ds9, taken: CcdImage) -> None:
    picture = assembled(taken.amps, taken.geometry)
    assert await ds9.values(2, 1, 3, 2) == {(x, y): picture[y - 1, x - 1] for x in (2, 3, 4) for y in (1, 2)}
    rows, columns = picture.shape
    assert await ds9.values(columns, rows, 1, 1) == {(columns, rows): picture[-1, -1]}


def test_ds9_through_xpa(tmp_path: Path) -> None:
    full, window = image(Roi(1, 60, 1, 40)), image(Roi(3, 56, 5, 36, 2, 1))
    write_image(tmp_path / "full.fits", full, "ASM")
    write_image(tmp_path / "full-extensions.fits", full, "MEF")
    write_image(tmp_path / "window.fits", window, "MEF")

    async def work(port: int) -> None:
        ds9 = Ds9(XpaLink(NameServer(port=port), "diptych"))
        assert [name.split()[0] for name in await ds9.link.find()] == ["DS9:diptych"]
        with pytest.raises(NotConnectedError, match="knows no DS9:other"):
            await Ds9(XpaLink(NameServer(port=port), "other")).zoom()
        await ds9.show(tmp_path / "full.fits")
        assert await ds9.shown() == "full.fits"
        await shows_the_picture(ds9, full)

        await ds9.draw_box(10.5, 8.5, 4, 6)
        await ds9.show(tmp_path / "full.fits")  # the next image: what was drawn stays
        assert await ds9.shapes() == [("box", (10.5, 8.5, 4.0, 6.0, 0.0))]

        # As a mosaic ds9 goes by the keywords of the extensions: DETSEC, LTM, ATM. They and we agree.
        await ds9.show(tmp_path / "full-extensions.fits", "mosaic")
        await ds9.delete_shapes()
        for box in (Box(3, 6, 2, 9), Box(50, 58, 4, 6), Box(7, 8, 31, 40), Box(45, 60, 25, 26)):
            await ds9.link.set(
                f"regions command {{box({box.centre[0]}p,{box.centre[1]}p,{box.size[0]}p,{box.size[1]}p)}}"
            )
        detector = [Box.around(*shape.numbers) for shape in await ds9.shapes("detector")]
        amplifier = [Box.around(*shape.numbers) for shape in await ds9.shapes("amplifier")]
        assert detector == [(3, 6, 2, 9), (50, 58, 4, 6), (7, 8, 31, 40), (45, 60, 25, 26)]
        assert amplifier == [on_amplifier(box, full.geometry) for box in detector]

        await ds9.show(tmp_path / "window.fits", 3)
        assert (await ds9.values(1, 1, 1, 1))[1, 1] == 20_000  # the first pixel that the third amplifier read
        await ds9.zoom(2)
        await ds9.zoom()
        await ds9.point("crosshair")
        with pytest.raises(RefusedError):
            await ds9.link.set("nonsense 3")
        await ds9.save_picture(tmp_path / "seen.png")
        with Image.open(tmp_path / "seen.png") as seen:
            assert min(seen.size) > 10

    async def press() -> None:
        ds9 = Ds9(XpaLink(NameServer(port=found.name_server_port)))
        await ds9.show(tmp_path / "full.fits")
        await ds9.zoom()
        waiting = asyncio.create_task(ds9.await_press(20.0))
        while not waiting.done():
            await found.press("q", 300, 450)
            await asyncio.wait({waiting}, timeout=0.2)
        pressed = waiting.result()
        assert pressed.key == "q"
        assert 0.5 < pressed.x < 60.5 and 0.5 < pressed.y < 40.5

    with real_ds9(tmp_path) as found:
        asyncio.run(work(found.name_server_port))
        asyncio.run(press())


@contextmanager
def hub(lock: Path) -> Iterator[None]:
    """astropy's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astropy.samp import SAMPHubServer

        server = SAMPHubServer(web_profile=False, lockfile=str(lock), addr="127.0.0.1")
        server.start()
    try:
        yield
    finally:
        server.stop()


@pytest.mark.long
def test_ds9_through_samp(tmp_path: Path) -> None:
    full = image(Roi(1, 60, 1, 40))
    write_image(tmp_path / "full picture.fits", full, "ASM")
    write_image(tmp_path / "extensions.fits", full, "MEF")

    async def work(found: SampHub) -> None:
        await until_ds9_is_there(found)
        ds9 = Ds9(SampLink(found))
        assert await ds9.link.find() == ["SAOImageDS9"]
        await ds9.show(tmp_path / "full picture.fits")
        assert await ds9.shown() == "full picture.fits"
        await shows_the_picture(ds9, full)
        await ds9.draw_box(10.5, 8.5, 4, 6)
        assert await ds9.shapes() == [("box", (10.5, 8.5, 4.0, 6.0, 0.0))]
        await ds9.show(tmp_path / "extensions.fits", 2)
        assert (await ds9.values(1, 1, 1, 1))[1, 1] == 10_000
        await ds9.delete_shapes()
        await ds9.show(tmp_path / "extensions.fits", "mosaic")
        await ds9.link.set("regions command {box(57.5p,5.5p,4p,2p)}")
        assert [Box.around(*shape.numbers) for shape in await ds9.shapes("amplifier")] == [(2, 5, 5, 6)]
        with pytest.raises(RefusedError, match="Unknown command: nonsense"):
            await ds9.link.set("nonsense")
        with pytest.raises(NotConnectedError, match="knows no Aladin"):
            await Ds9(SampLink(found, "Aladin")).zoom()
        for _ in range(20):
            assert len(await ds9.values(2, 1, 3, 2)) == 6
        await ds9.link.close()

    lock = tmp_path / "samp"
    with hub(lock), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMP_HUB", f"std-lockurl:{lock.as_uri()}")
        with real_ds9(tmp_path):  # it looks for a hub by itself
            asyncio.run(work(SampHub(lock)))


async def until_ds9_is_there(hub: SampHub, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not await hub.names("ds9.set"):
        assert time.monotonic() < deadline, f"ds9 does not register within {seconds:g} s"
        await asyncio.sleep(0.1)


def test_without_a_samp_hub_nobody_waits(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(NotConnectedError, match="no SAMP hub runs"):
            await SampHub(tmp_path / "samp").names("ds9.set")
        (tmp_path / "samp").write_text("samp.secret=s\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\n")
        with pytest.raises(NotConnectedError, match=r"SAMP hub http://127.0.0.1:9/: Connection refused"):
            await SampHub(tmp_path / "samp").names("ds9.set")

    asyncio.run(work())
