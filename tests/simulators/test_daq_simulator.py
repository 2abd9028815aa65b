"""Simulated PANOSETI modules: the sky, times and headers, files, sockets, the pipe."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.pff import RawFrame, Splitter, product, stamps
from devices.drivers.pff_file import PffFile, PffName, frame_time_ns
from devices.drivers.white_rabbit import host_offset_s, unix_ns
from devices.simulators.daq import DaqSettings, FrameStream, ModuleFrame, run
from devices.simulators.daq.night_sky import NIGHT_SKY_HZ, NightSky, Showers
from devices.simulators.daq.stream import pixels_of

START_NS = 1_721_882_086_000_000_000
SECOND = 1_000_000_000
REAL = Path(__file__).resolve().parents[3] / "shared/data/panoseti"


def frames(seconds: float, start_ns: int = START_NS, **options: object) -> list[ModuleFrame]:
    settings = DaqSettings.of({"data_dir": "unused", **options})
    stream = FrameStream(settings, pixels_of(settings), start_ns)
    found: list[ModuleFrame] = []
    for step in range(1, round(seconds * 10) + 1):
        found += stream.due(start_ns + step * SECOND // 10)
    assert stream.left_out == 0
    return found


def numbers(found: list[ModuleFrame]) -> list[int]:
    return [stamps(frame.fields)[0].pkt_num for _, frame in found]


def test_movies_keep_their_rate_and_all_clocks_agree() -> None:
    """1 kHz of two modules for 3 s, over a second's end; quabos agree to 8 ns, as real ones."""
    found = frames(3.0, START_NS + SECOND - 50_500, rate_hz=1000, modules="7,254", pulse_heights="none")
    assert Counter(module for module, _ in found) == {7: 3001, 254: 3001}
    for number, (_, frame) in enumerate(found[::2]):
        four = stamps(frame.fields)
        times = [unix_ns(each) for each in four]
        assert None not in times
        assert times[0] == START_NS + SECOND - 50_500 + number * 1_000_000
        assert max(times) - min(times) <= 8  # type: ignore[type-var, operator]
        assert {host_offset_s(each) for each in four} <= {0, 1}
        assert frame.fields["quabo_2"]["pkt_num"] == number
        assert len(frame.bytes) == 2540


def test_the_number_of_a_packet_has_16_bits() -> None:
    found = frames(70.0, rate_hz=1000, pulse_heights="none")
    assert numbers(found[65533:65539]) == [65533, 65534, 65535, 0, 1, 2]


def test_the_tai_second_has_10_bits_and_knows_leap_seconds() -> None:
    """37 s after 2017; 36 s before."""
    second = next(s for s in range(START_NS // SECOND, START_NS // SECOND + 1024) if (s + 37) % 1024 == 1023)
    found = frames(2.0, second * SECOND, rate_hz=1, pulse_heights="none")
    assert [stamps(frame.fields)[0].pkt_tai for _, frame in found] == [1023, 0, 1]
    (_, old), *_ = frames(0.1, 1_483_228_799 * SECOND, rate_hz=1, pulse_heights="none")
    assert stamps(old.fields)[0].pkt_tai == (1_483_228_799 + 36) % 1024
    assert frame_time_ns(old.fields) == 1_483_228_799 * SECOND


def test_showers_come_at_their_rate_and_coincide_between_modules() -> None:
    """20 per s for 60 s: 1200 +- 35; the light comes to the modules 2 to 10 ns apart."""
    found = frames(60.0, movie="none", event_rate_hz=20, single_rate_hz=0, modules="1-3", pulse_heights="ph1024")
    events: list[list[tuple[int, int]]] = []
    for module, frame in found:
        time_ns = frame_time_ns(frame.fields)
        if not events or time_ns - events[-1][0][1] > 20:
            events.append([])
        events[-1].append((module, time_ns))
    assert abs(len(events) - 1200) < 5 * math.sqrt(1200)
    whole = [event for event in events if len(event) == 3]
    assert len(whole) > 0.9 * len(events)  # few are too faint for one of them
    assert {len({module for module, _ in event}) for event in whole} == {3}
    spreads = {event[-1][1] - event[0][1] for event in whole}
    assert min(spreads) >= 2 and max(spreads) <= 10


def test_single_events_are_of_one_quabo_and_at_random() -> None:
    """2 per s and module, for 200 s and two modules: 800 +- 28, and none within 1 us of another but by chance."""
    found = frames(200.0, movie="none", event_rate_hz=0, single_rate_hz=2, modules="1,9")
    assert abs(len(found) - 800) < 5 * math.sqrt(800)
    assert {frame.quabo for _, frame in found} == {0, 1, 2, 3}
    times = np.array([frame_time_ns(frame.fields) for _, frame in found])
    gaps = np.diff(times) / 1e9
    assert abs(gaps.mean() - 0.25) < 0.05 and abs((gaps > 0.25).mean() - math.exp(-1)) < 0.1
    per_quabo: dict[tuple[int, int], list[int]] = defaultdict(list)
    for module, frame in found:
        per_quabo[module, frame.quabo].append(frame.fields["pkt_num"])
    assert all(each == list(range(len(each))) for each in per_quabo.values())
    assert min(frame.image.min() for _, frame in found) < 0  # the baseline is subtracted


def test_a_shower_is_an_elongated_ellipse() -> None:
    showers = Showers(2, np.random.default_rng(5), count=30)
    rows, columns = np.mgrid[:32, :32]
    elongated = 0
    for image in showers.images[:, 0]:
        light = np.where(image > 0.3 * image.max(), image, 0).astype(float)
        total = light.sum()
        row, column = (light * rows).sum() / total, (light * columns).sum() / total
        moments = np.array(
            [
                [(light * (rows - row) ** 2).sum(), (light * (rows - row) * (columns - column)).sum()],
                [(light * (rows - row) * (columns - column)).sum(), (light * (columns - column) ** 2).sum()],
            ]
        )
        small, large = np.sqrt(np.linalg.eigvalsh(moments / total))
        elongated += large > 1.5 * small
    assert elongated > 20


def test_the_night_has_its_noise_and_the_field_turns() -> None:
    sky = NightSky(1, 3, turn_deg_per_s=1.0)
    rates = sky.rates(0, 0.0)
    images = np.array([sky.image(0, 0.0, 0.005) for _ in range(200)])
    dark = np.abs(rates - NIGHT_SKY_HZ) < 0.2 * NIGHT_SKY_HZ
    assert dark.mean() > 0.5  # most of the sky is dark
    np.testing.assert_allclose(images.mean(axis=0)[dark], rates[dark] * 0.005, rtol=0.05)
    ratio = images.var(axis=0)[dark] / images.mean(axis=0)[dark]
    assert abs(ratio.mean() - 1.0) < 0.05  # Poisson
    assert np.abs(sky.rates(0, 30.0) - rates).max() > 1e5  # stars have moved by 30 deg
    np.testing.assert_allclose(sky.rates(0, 360.0), rates, rtol=1e-6)


def test_the_same_seed_sees_the_same_sky() -> None:
    first, again, other = (frames(1.0, seed=seed, rate_hz=20) for seed in (4, 4, 5))
    assert [(module, frame.bytes) for module, frame in first] == [(module, frame.bytes) for module, frame in again]
    assert first[0].frame.pixels != other[0].frame.pixels


def test_8_bit_images_and_pulse_heights_of_modules() -> None:
    found = frames(5.0, movie="img8", pulse_heights="ph1024", rate_hz=200, event_rate_hz=20)
    counts = Counter(frame.product.name for _, frame in found)
    assert counts["img8"] == 1001 and counts["ph1024"] > 50
    image = next(frame.image for _, frame in found if frame.product.name == "img8")
    assert image.dtype == np.uint8 and 150 < np.median(image) < 255


def test_a_simulation_that_was_halted_leaves_frames_out() -> None:
    settings = DaqSettings.of({"data_dir": "unused", "rate_hz": 100, "pulse_heights": "none"})
    stream = FrameStream(settings, pixels_of(settings), START_NS)
    assert len(stream.due(START_NS)) == 1
    found = stream.due(START_NS + 3600 * SECOND)
    assert len(found) <= 2 and stream.left_out + len(found) == 360_000
    assert frame_time_ns(found[-1].frame.fields) == START_NS + 3600 * SECOND


@pytest.mark.skipif(not REAL.exists(), reason="needs the PANOSETI files of ../shared/data")
def test_real_files_are_played_with_new_times() -> None:
    movie, heights = sorted(REAL.glob("*img16*.pff"))[0], sorted(REAL.glob("*ph256*module_3*.pff"))[0]
    found = frames(2.0, rate_hz=1000, paths=f"{movie},{heights}", modules="5,6", event_rate_hz=50, single_rate_hz=0)
    with PffFile(movie) as real_movie, PffFile(heights) as real_heights:
        first = [frame for module, frame in found if module == 5 and frame.product.is_movie]
        assert [frame.pixels for frame in first[:3]] == [real_movie[index].pixels for index in range(3)]
        assert first[1000].pixels == real_movie[0].pixels  # 1000 frames, and again
        events = [frame for _, frame in found if not frame.product.is_movie]
        assert [frame.quabo for frame in events[:40]] == [real_heights[index].quabo for index in range(40)]
        assert [frame.pixels for frame in events[:40]] == [real_heights[index].pixels for index in range(40)]
    assert frame_time_ns(first[1].fields) == START_NS + 1_000_000


@asynccontextmanager
async def simulating(**options: object) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(run(0, options))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition, task: asyncio.Task[None], seconds: float = 20.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        if task.done():
            task.result()
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def test_files_roll_over_and_old_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "module_3" / "obs_SIMULATE"
    folder.mkdir(parents=True)
    (folder / "start_x.dp_img16.bpp_2.module_3.seqno_99.pff").touch()
    (folder / "letter.txt").touch()

    def seqnos() -> list[int]:
        names = [PffName.parse(name) for name in os.listdir(folder)]
        return sorted(name.seqno for name in names if name and name.product == "img16")

    async def work() -> None:
        async with simulating(
            data_dir=str(tmp_path), modules=3, rate_hz=500, burst_bytes=0, max_file_mb=0.05, keep_files=3
        ) as task:
            await until(lambda: seqnos() and 5 < seqnos()[-1] < 99, task)
            assert len(seqnos()) <= 3
            assert (folder / "module_3.daq-active").exists()

    asyncio.run(work())
    assert not (folder / "module_3.daq-active").exists()
    assert (folder / "letter.txt").exists()
    for seqno in seqnos()[:-1]:
        (path,) = folder.glob(f"*img16*.seqno_{seqno}.pff")
        with PffFile(path) as file:
            assert len(file) == 20  # of 2540 bytes: the first one after 50 000 bytes is the last
            assert len({frame_time_ns(file.header(index)) for index in range(20)}) == 20


def test_a_limited_number_of_frames_in_files_of_so_many(tmp_path: Path) -> None:
    options = {"data_dir": str(tmp_path), "modules": "3,4", "rate_hz": 500, "frames_per_file": 30, "frame_limit": 100}
    asyncio.run(run(0, {**options, "keep_files": 9, "pulse_heights": "none", "active_file": "m{module_id}"}))
    for module in (3, 4):
        folder = tmp_path / f"module_{module}" / "obs_SIMULATE"
        assert not (folder / f"m{module}").exists()
        counts = []
        for seqno in range(4):
            (path,) = folder.glob(f"*.seqno_{seqno}.pff")
            with PffFile(path) as file:
                counts.append(len(file))
        assert counts == [30, 30, 30, 10]


def test_files_grow_in_bursts(tmp_path: Path) -> None:
    """Nothing, and then 64 KiB at once."""

    async def work() -> None:
        found: list[Path] = []
        async with simulating(data_dir=str(tmp_path), modules="3", rate_hz=200, burst_bytes=65536) as task:
            await until(lambda: found.extend(tmp_path.rglob("*img16*.pff")) or found, task)
            path = found[0]
            sizes = set()

            def grown() -> bool:
                sizes.add(path.stat().st_size)
                return len(sizes) > 2

            await until(grown, task)
            assert all(b - a > 60_000 for a, b in zip(sorted(sizes), sorted(sizes)[1:], strict=False)), sizes

    asyncio.run(work())


def test_sockets_get_frames_with_their_module_when_somebody_listens(tmp_path: Path) -> None:
    """Nobody does at first, and the one who does goes away once."""
    template = str(tmp_path / "to.{dp_name}.sock")
    path = template.replace("{dp_name}", "img16")
    got: list[RawFrame] = []
    done = threading.Event()

    def listen() -> None:
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path)
                listening.listen()
                listening.settimeout(10.0)
                link, _ = listening.accept()
                splitter, count = Splitter(product("img16"), 2), 0
                with link:
                    link.settimeout(10.0)
                    while count < 30:
                        for frame in splitter.feed(link.recv(65536)):
                            got.append(frame)
                            count += 1
        done.set()

    async def work() -> None:
        async with simulating(
            mode="uds", socket_path_template=template, modules="700,3", rate_hz=200, pulse_heights="none"
        ) as task:
            thread = threading.Thread(target=listen)
            thread.start()
            await until(done.is_set, task)
            thread.join()

    asyncio.run(work())
    assert [int.from_bytes(frame.prefix, "big") for frame in got[:4]] == [700, 3, 700, 3]
    found = [stamps(frame.fields)[0].pkt_num for frame in got[:30:2]]
    # Frames for which there was no time are left out, by the second.
    assert {last - first for first, last in itertools.pairwise(found)} <= {1, *range(190, 5000)}


def test_wrong_options_are_all_told() -> None:
    with pytest.raises(ConfigurationError) as raised:
        DaqSettings.of(
            {"mode": "tape", "rate_hz": "quick", "modules": "3-1", "paths": "a.txt", "run": "obs_Lick", "speed": 3}
        )
    assert raised.value.problems == (
        "mode = tape is not filesystem, pipe or uds",
        'modules = 3-1 are not numbers and ranges up to 65535, such as "1,5-8"',
        "paths: a.txt is not the name of a PFF file (.dp_NAME., .pff)",
        "rate_hz = quick is not a number in [0.01, 5000]",
        "run = obs_Lick is not the name of a simulated run, such as obs_SIMULATE",
        "unknown option speed",
    )
    with pytest.raises(ConfigurationError, match="data_dir is missing"):
        DaqSettings.of({})
    assert DaqSettings.of({"data_dir": "x", "modules": [1, "5-7"]}).modules == (1, 5, 6, 7)


def test_files_that_cannot_be_played_say_so(tmp_path: Path) -> None:
    options = {"data_dir": str(tmp_path), "paths": str(tmp_path / "a.dp_img16.pff")}
    with pytest.raises(BadValueError, match="No such file"):
        asyncio.run(run(0, options))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="data_dir"):
        asyncio.run(run(0, {"data_dir": str(tmp_path / "file")}))
