"""Plots of images: a row for each module, colours that one hot pixel does not spoil, heights of pulses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from servers.daqdata.plot import PanoImagePreviewer, PulseHeightDistribution, SpeedMeter


def image(module: int, kind: str = "MOVIE", pixels: Any = None, number: int = 7) -> dict[str, Any]:
    """An image from 100 to 1123, or a pulse height of a 5 x 3 ramp."""
    if pixels is None:
        pixels = np.arange(100, 1124).reshape(32, 32) if kind == "MOVIE" else np.arange(-5, 10).reshape(5, 3)
    header = {"wr_valid": True, "wr_unix_timestamp": 1721882086.125, "pkt_unix_timestamp": 1721882086.126}
    return {
        "type": kind,
        "module_id": module,
        "image_array": pixels,
        "header": header,
        "file": f"start_2024-07-25T04_34_46Z.dp_img16.bpp_2.module_{module}.seqno_0.pff",
        "frame_number": number,
    }


def panels(view: PanoImagePreviewer) -> dict[str, Any]:
    """The picture of each panel by the begin of its title."""
    return {
        axis.get_title().partition(", 20")[0].partition(":")[0]: axis.get_images()[0]
        for axis in view.fig.axes
        if axis.get_images()
    }


def test_each_module_has_a_row_with_its_newest_images() -> None:
    view = PanoImagePreviewer(True, True, plot_update_interval=0.0)
    view.update(image(254))
    view.update(image(3, "PULSE_HEIGHT"))
    view.update(image(254, number=8))
    found = panels(view)
    assert list(found) == [
        "module 3, pulse height",
        "module 3, movie",
        "module 254, pulse height",
        "module 254, movie",
    ]
    np.testing.assert_array_equal(found["module 254, movie"].get_array(), np.arange(100, 1124).reshape(32, 32))
    assert found["module 3, pulse height"].get_array().shape == (5, 3)
    title = found["module 254, movie"].axes.get_title()
    assert "2024-07-25 04:34:46.125" in title and title.endswith("#8")
    view.window.close()


def test_one_hot_pixel_does_not_hide_the_others() -> None:
    pixels = np.arange(100, 1124).reshape(32, 32)
    pixels[0, 0] = 65535
    view = PanoImagePreviewer(True, False, plot_update_interval=0.0)
    view.update(image(1, pixels=pixels))
    low, high = panels(view)["module 1, movie"].get_clim()
    assert 100 < low < 120 and 1100 < high < 1124
    view.window.close()


def test_only_modules_and_kinds_that_were_asked_for_are_shown() -> None:
    view = PanoImagePreviewer(True, False, [5], plot_update_interval=0.0)
    view.update(image(6))
    view.update(image(5, "PULSE_HEIGHT"))
    assert view.fig is None
    view.update(image(5))
    assert view.seen_modules == {5}
    view.window.close()


def test_a_plot_is_drawn_no_more_often_than_was_asked_for(tmp_path: Path) -> None:
    view = PanoImagePreviewer(True, False, plot_update_interval=3600.0, output=tmp_path / "view.png")
    view.update(image(1))
    assert (tmp_path / "view.png").stat().st_size > 1000
    (tmp_path / "view.png").unlink()
    view.update(image(2))
    assert not list(tmp_path.iterdir())
    view.plot()
    assert [each.name for each in tmp_path.iterdir()] == ["view.png"]
    view.window.close()


def test_pulse_heights_are_the_highest_pixels_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("servers.daqdata.plot.time.monotonic", lambda: now)
    heights = PulseHeightDistribution((5, 30), [3], plot_update_interval=1e9)
    for second, highest in ((1000.0, 40), (1026.0, 50), (1029.0, 60), (1031.0, 70)):
        now = second
        heights.update(image(3, "PULSE_HEIGHT", np.array([[-5, highest, 0]])))
    heights.update(image(4, "PULSE_HEIGHT"))
    heights.update(image(3))
    assert heights.heights(3, 5) == [50, 60, 70]
    assert heights.heights(3, 30) == [50, 60, 70]  # the first is older
    assert heights.heights(4, 30) == []
    heights.plot()
    assert [axis.get_title() for axis in heights.fig.axes] == ["last 5 s", "last 30 s"]
    assert heights.fig.axes[0].get_legend().get_texts()[0].get_text() == "module 3, 3 images"
    heights.window.close()


def test_speed_is_told_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("servers.daqdata.plot.time.monotonic", lambda: now)
    meter = SpeedMeter()
    lines = []
    for index in range(1, 501):
        now = index / 250
        lines.append(meter.update())
    told = [line for line in lines if line]
    assert len(told) == 2 and all("250.0 images/s" in line for line in told)
