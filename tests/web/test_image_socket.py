"""The image socket: true pixels, no more of them than there is room for, and never a queue."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.web.page_socket import PageSocket, Site, connected, run

FRAME = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
FRAME[3, 17] = 60_000
HEADER = struct.Struct("<4sBBBBHHIdIIIIIIddd")
DTYPES = {1: "<u1", 2: "<u2", 3: "<i4", 4: "<f4"}


@dataclass(frozen=True)
class Received:
    """A binary message, taken apart by the table of docs/panel-sockets.md."""

    fields: tuple[Any, ...]
    pixels: np.ndarray[Any, Any]

    @classmethod
    def of(cls, message: bytes) -> Received:
        fields = HEADER.unpack_from(message)
        assert HEADER.size == 72
        assert fields[:2] == (b"DIMG", 1)
        pixels = np.frombuffer(message, DTYPES[fields[2]], offset=HEADER.size)
        return cls(fields, pixels.reshape(fields[14], fields[13]))

    @property
    def factor(self) -> int:
        return int(self.fields[6])


@asynccontextmanager
async def viewing(site: Site, pv: str = "ALL1:Frame_RBV", **view: Any) -> AsyncIterator[PageSocket]:
    """A page with one view, number 1."""
    async with connected(site) as page, connected(site, path="image", hello=False) as images:
        await images.say(type="hello", protocol=1, token=page.token)
        await images.say(type="view", view=1, pv=_readable(pv), **view)
        yield images


def _readable(pv: str) -> str:
    return pv.removesuffix("_RBV")  # images are for reading on EPICS: no set point, no read-back


async def frame(images: PageSocket) -> Received:
    return Received.of(await images.hear(lambda message: isinstance(message, bytes)))


@pytest.fixture(autouse=True)
def _frame(site: Site) -> None:
    site.proxy().write_attribute("frame", FRAME)


def test_a_view_with_room_gets_every_pixel_as_it_is(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=800, canvas_height=600) as images:
            got = await frame(images)
            assert np.array_equal(got.pixels, FRAME)
            assert got.pixels.dtype == np.uint16
            _, _, dtype, flags, reduce, view, factor, _, time, *rest = got.fields
            assert (dtype, flags & 1, reduce, view, factor) == (2, 1, 0, 1, 1)
            assert rest[:6] == [60, 40, 0, 0, 60, 40]
            assert time > 1_700_000_000
            assert 0.0 <= rest[6] < rest[7] <= 2400.0, "autoscale leaves the one hot pixel out"

    run(work())


@pytest.mark.parametrize("how", ["max", "mean"])
def test_a_small_canvas_gets_blocks_of_pixels_that_are_still_where_they_were(site: Site, how: str) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=25, canvas_height=25, reduce=how) as images:
            got = await frame(images)
            assert got.factor == 3
            assert got.pixels.shape == (14, 20)
            blocks = [[FRAME[r : r + 3, c : c + 3] for c in range(0, 60, 3)] for r in range(0, 40, 3)]
            expected = [[block.max() if how == "max" else block.mean() for block in row] for row in blocks]
            assert np.allclose(got.pixels, expected, atol=0 if how == "max" else 1)

    run(work())


def test_a_rectangle_is_clipped_and_keeps_its_place(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, x=50, y=35, width=30, height=30, canvas_width=100, canvas_height=100) as images:
            got = await frame(images)
            assert got.fields[11:15] == (50, 35, 10, 5)
            assert np.array_equal(got.pixels, FRAME[35:, 50:])

    run(work())


def test_the_value_under_the_cursor_is_the_true_one(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=10, canvas_height=10) as images:
            await frame(images)
            await images.say(type="probe", view=1, id=5, x=17, y=3)
            answer = await images.hear(lambda message: isinstance(message, dict) and message.get("id") == 5)
            assert (answer["value"], answer["x"], answer["y"]) == (60_000, 17, 3)
            await images.say(type="probe", view=1, id=6, x=60, y=3)
            outside = await images.hear(lambda message: isinstance(message, dict) and message.get("id") == 6)
            assert outside["value"] is None

    run(work())


def test_statistics_are_of_all_pixels_of_the_rectangle(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=10, canvas_height=10) as images:
            await frame(images)
            await images.say(type="statistics", view=1, id=8, x=10, y=2, width=20, height=4, bins=16)
            answer = await images.hear(lambda message: isinstance(message, dict) and message.get("id") == 8)
            region = FRAME[2:6, 10:30]
            assert answer["count"] == 80
            assert (answer["min"], answer["max"]) == (region.min(), region.max())
            assert answer["mean"] == pytest.approx(region.mean())
            assert answer["std"] == pytest.approx(region.std())
            assert sum(answer["counts"]) == 80
            assert len(answer["counts"]) == 16

    run(work())


def test_a_profile_is_along_the_line_both_ends_included(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=10, canvas_height=10) as images:
            await frame(images)
            await images.say(type="profile", view=1, id=9, x1=5, y1=7, x2=15, y2=7)
            answer = await images.hear(lambda message: isinstance(message, dict) and message.get("id") == 9)
            assert answer["values"] == FRAME[7, 5:16].tolist()
            assert answer["step"] == 1.0

    run(work())


def test_without_a_credit_no_frame_comes_and_then_the_newest(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=100, canvas_height=100) as images:
            first = await frame(images)
            for number in (1, 2, 3):
                site.proxy().write_attribute("frame", FRAME[:30] + number)
            await images.say(type="echo", n=1)
            silent = await images.hear(lambda message: isinstance(message, bytes) or message.get("type") == "echo")
            assert not isinstance(silent, bytes)
            await images.say(type="credit", view=1)
            got = await frame(images)
            while got.pixels[0, 0] != 3:  # a credit that came before the last one
                await images.say(type="credit", view=1)
                got = await frame(images)
            assert got.pixels.shape == (30, 60), "the size may change"
            assert got.fields[7] > first.fields[7]

    run(work())


def test_a_changed_view_is_answered_from_the_frame_there_is(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=100, canvas_height=100) as images:
            await frame(images)
            await images.say(type="credit", view=1)
            view = {"x": 4, "y": 6, "width": 3, "height": 2, "canvas_width": 100, "canvas_height": 100}
            await images.say(type="view", view=1, pv=_readable("ALL1:Frame"), **view)
            got = await frame(images)
            while got.pixels.shape != (2, 3):
                await images.say(type="credit", view=1)
                got = await frame(images)
            assert np.array_equal(got.pixels, FRAME[6:8, 4:7])

    run(work())


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"type": "probe", "view": 9, "id": 1, "x": 0, "y": 0}, "view 9 is not open"),
        ({"type": "probe", "view": 1, "id": 1, "x": "left", "y": 0}, "x = 'left' is not a whole number"),
        ({"type": "statistics", "view": 1, "id": 1, "x": 0, "y": 0, "width": 5, "height": 5, "bins": 10**9}, "bins ="),
        ({"type": "view", "view": 70_000, "pv": "ALL1:Frame"}, "view = 70000"),
        ({"type": "view", "view": 2}, "not a message"),
    ],
)
def test_a_wrong_request_is_refused_by_name(site: Site, message: dict[str, Any], why: str) -> None:
    async def work() -> None:
        async with viewing(site, canvas_width=10, canvas_height=10) as images:
            await frame(images)
            await images.say(**message)
            error = await images.hear(lambda heard: isinstance(heard, dict) and heard.get("type") == "error")
            assert why in error["message"]

    run(work())


def test_who_has_no_token_sees_nothing(site: Site) -> None:
    async def work() -> None:
        async with connected(site, path="image", hello=False) as images:
            await images.say(type="view", view=1, pv="ALL1:Frame")
            assert "begins with a hello" in (await images.next())["message"]
            await images.say(type="hello", protocol=1, token="guessed")
            assert "token" in (await images.next())["message"]

    run(work())


def test_what_is_no_image_says_so(site: Site) -> None:
    async def work() -> None:
        async with viewing(site, pv="ALL1:Gain") as images:
            error = await images.hear(lambda heard: isinstance(heard, dict) and heard.get("type") == "error")
            assert error["message"] == "ALL1:Gain is not an image"

    run(work())
