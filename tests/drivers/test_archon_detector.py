"""The detector behind the simulated Archon behaves as a CCD does."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from devices.simulators._ccd.detector import Axis, Detector, Window
from devices.simulators._ccd.sky import make_sky
from devices.simulators.archon import ArchonSettings, run
from devices.simulators.archon.frames import frame_of

COLD = -140.0


def detector(taps: int = 1, **options: object) -> Detector:
    options = {"columns": 160, "rows": 90, "prescan": 0, "cosmic_rays_mpix_h": 0.0} | options
    settings = ArchonSettings.of(options)
    return Detector(settings, taps, make_sky(settings))


def whole(device: Detector, overscan: int = 40) -> Window:
    rows, columns = device.tap_shape
    return Window(Axis(rows, 0, 0, rows), Axis(columns + overscan, 0, 0, columns))


def image(device: Detector, seconds: float, celsius: float = COLD, **more: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = device.image(whole(device), seconds, seconds, celsius, **more).astype(float)
    return found


def test_a_pair_of_flats_gives_the_gain_and_a_pair_of_biases_the_read_noise() -> None:
    device = detector(scene="flat", flat_e_s=20_000.0, gain_e_adu=1.6, read_noise_e=6.4, columns=600, rows=500)
    flats = [image(device, 1.0)[0] for _ in range(2)]
    biases = [image(device, 0.0)[0] for _ in range(2)]
    noise_adu = np.std(biases[0] - biases[1]) / np.sqrt(2)
    assert noise_adu == pytest.approx(6.4 / 1.6, rel=0.02)
    seen = slice(0, 600)
    signal = (flats[0] + flats[1] - biases[0] - biases[1])[:, seen].mean()
    variance = np.var((flats[0] - flats[1])[:, seen]) - 2 * noise_adu**2
    assert signal / variance == pytest.approx(1.6, rel=0.02)


def test_overscan_holds_no_charge() -> None:
    flat = image(detector(scene="flat"), 1.0)[0]
    bias = image(detector(scene="flat"), 0.0)[0]
    assert flat[:, :160].mean() > bias[:, :160].mean() + 5000
    assert flat[:, 165:].mean() == pytest.approx(bias[:, 165:].mean(), abs=0.5)


def test_each_amplifier_has_a_bias_of_its_own() -> None:
    levels = image(detector(taps=4, scene="dark", bias_adu=1000.0), 0.0).mean((1, 2))
    assert len({round(level) for level in levels}) == 4
    assert np.all(np.abs(levels - 1000.0) < 100.0)


def test_stars_saturate_at_the_full_well() -> None:
    device = detector(scene="stars", stars_per_mpix=3000.0, full_well_e=30_000.0, gain_e_adu=1.0, read_noise_e=0.0)
    short, long = image(device, 1.0)[0], image(device, 3000.0)[0]
    assert short.max() < 1100 + 30_000 + 5 * np.sqrt(30_000)
    assert np.median(long[:, :160]) == pytest.approx(31_000, rel=0.03)  # the sky alone fills the wells
    assert np.median(short[:, :160]) < 1200


def test_dark_current_doubles_with_6_3_degrees() -> None:
    device = detector(scene="dark", dark_e_s=100.0, gain_e_adu=1.0, bias_adu=1000.0)
    bias = image(device, 0.0)[0, :, :160].mean()
    at_20, at_26 = (image(device, 10.0, celsius)[0, :, :160].mean() - bias for celsius in (20.0, 26.3))
    assert at_20 == pytest.approx(1000.0, rel=0.02)
    assert at_26 == pytest.approx(2000.0, rel=0.02)


def test_an_open_shutter_during_the_read_out_makes_a_ramp() -> None:
    device = detector(scene="flat", flat_e_s=1000.0, gain_e_adu=1.0)
    rows = image(device, 0.0, open_s_per_row=0.1)[0, :, 20:140].mean(1)
    slope = np.polyfit(np.arange(rows.size), rows, 1)[0]
    assert slope == pytest.approx(100.0, rel=0.05)  # 1000 e-/s for 0.1 s more with each row


def test_cosmic_rays_come_with_time() -> None:
    device = detector(scene="dark", cosmic_rays_mpix_h=50_000.0, dark_e_s=0.0)
    assert image(device, 0.0).max() < 1200
    assert image(device, 3600.0).max() > 1300


def test_the_same_seed_gives_the_same_sky_and_another_one_another() -> None:
    first, same, other = (image(detector(seed=seed), 5.0) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_taps_read_from_their_own_corner() -> None:
    """A star field read through four amplifiers, put together again, is the field read through one."""
    quiet: dict[str, object] = {"stars_per_mpix": 2000.0, "read_noise_e": 0.0, "bias_adu": 1000.0, "full_well_e": 1e9}
    one, four = detector(1, **quiet), detector(4, **quiet)
    a, b, c, d = (light.astype(float) for light in four._light)
    lower, upper = np.hstack([a, b[:, ::-1]]), np.hstack([c, d[:, ::-1]])[::-1]
    np.testing.assert_array_equal(np.vstack([lower, upper]), one._light[0])


def test_binning_adds_charge_and_a_window_skips_it() -> None:
    device = detector(scene="flat", flat_e_s=1000.0, gain_e_adu=1.0, prescan=10)
    window = Window(Axis(20, 5, 0, 60, 3), Axis(2 + 30 + 4, 20, 4, 60, 2))
    lines = device.image(window, 1.0, 1.0, COLD)[0].astype(float)
    assert lines.shape == (20, 36)
    assert lines[:, :2].mean() < 1200  # the prescan sees no light
    assert lines[:, 5:30].mean() == pytest.approx(1000 + 6 * 1000, rel=0.06)
    assert lines[:, 32:].mean() < 1200


def test_a_split_frame_has_one_half_of_the_taps_upside_down() -> None:
    taps = np.arange(4 * 3 * 2, dtype=np.uint16).reshape(4, 3, 2)
    frame = frame_of(taps, [False, True, False, False], 2, wide=False)
    assert frame.tolist() == [
        [0, 1, 7, 6],
        [2, 3, 9, 8],
        [4, 5, 11, 10],
        [16, 17, 22, 23],
        [14, 15, 20, 21],
        [12, 13, 18, 19],
    ]


def test_wrong_options_are_all_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        ArchonSettings.of({"columns": 4, "rows": "many", "scene": "moon", "colour": 1, "faults": "power_bad,flood"})
    text = str(raised.value)
    for part in ("columns = 4", "rows = many", "scene = moon", "unknown option colour", "fault flood is none of"):
        assert part in text
    assert "power_bad is" not in text


def test_it_runs_as_a_simulator_of_a_facility() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        running = asyncio.create_task(run(port, {"columns": 16, "rows": 16, "faults": "overheat"}))
        try:
            async with asyncio.timeout(5):
                while True:
                    try:
                        reader, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.01)
                writer.write(b">A5STATUS\n")
                assert b" OVERHEAT=1 " in await reader.readline()
                writer.write(b"nonsense\n>zzTIMER\n>07BOGUS\n>08LOCK0\n")
                assert await reader.readline() == b"<08\n"  # what it does not know it does not answer
                writer.close()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())
