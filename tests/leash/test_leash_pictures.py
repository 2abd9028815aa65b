"""What is seen of curves: in a window that follows the measurement, and of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot

from devices.core.errors import NotAllowedError, NotConnectedError, RangeError
from servers.leash import curve_plot
from servers.leash.curve_plot import FileCurve, View, draw_reply, has_display, plot_files, plot_live

NAN = float("nan")


def reply(name: str, *peaks: float) -> dict[str, Any]:
    """The data of a reply to ``plot``: curves of five bins with the second one as high as given; the last is empty."""
    graphs = [
        {
            "kind": "Radial",
            "array": [[0.5, 1.0763, 1.5, 2.153, 2.6], [12.0, peak, 15.25, 96.0, NAN], [1.0, 2.0, 1.0, 1.0, NAN]],
            "columnLabels": ["q [nm^-1]", "I [counts/pixel]", "sigma"],
            "conf": {},
            "mask": {"Name": f"mask {number}"},
        }
        for number, peak in enumerate(peaks)
    ]
    return {"filename": f"work/{name}", "graphs": graphs}


def test_each_curve_has_a_panel_without_the_points_that_are_left_out() -> None:
    figure = pyplot.figure()
    draw_reply(figure, reply("agbeh_00000", 480.5, 240.25), View(skip=1, clip=1, y_scale="log"))
    first, second = figure.axes
    assert first.get_lines()[0].get_xydata().tolist() == [[1.0763, 480.5], [1.5, 15.25], [2.153, 96.0]]
    assert second.get_lines()[0].get_ydata()[0] == 240.25
    assert (first.get_yscale(), first.get_xlabel()) == ("log", "q [nm^-1]")
    assert second.get_legend().get_texts()[0].get_text() == "mask 1"
    pyplot.close(figure)


def test_a_view_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(RangeError, match="--skip 4 and --clip 1 leave nothing of 5 points"):
        View(skip=4, clip=1).part(np.zeros(5))
    assert View(skip=4, clip=0).part(np.arange(5.0)).tolist() == [4.0]


def test_a_window_follows_the_measurement_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_plot, "has_display", lambda: True)
    gone = NotConnectedError("tcp://127.0.0.1:9723: Connection refused")
    first, second = reply("agbeh_00000", 480.5), reply("agbeh_00001", 500.0)
    replies = [{}, first, first, gone, second, second, {}]
    shown: list[Any] = []

    def ask() -> dict[str, Any]:
        found = replies[len(shown)]
        figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
        titles = [figure.get_suptitle() for figure in figures]
        shown.append(titles + [axes.get_lines()[0].get_ydata()[1] for figure in figures for axes in figure.axes])
        if len(shown) == len(replies):
            pyplot.close(figures[0])
        if isinstance(found, Exception):
            raise found
        return found

    plot_live(ask, View(), period_s=0.001)
    waiting, on = ["agbeh_00000", 480.5], ["agbeh_00001", 500.0]
    assert shown == [[], [""], waiting, waiting, [str(gone), 480.5], on, on]


def test_curves_with_other_bins_are_compared_at_those_of_the_first(tmp_path: Path) -> None:
    q = np.array([1.0, 2.0, 3.0, 4.0])
    first = FileCurve("agbeh", q, np.array([10.0, 20.0, 40.0, 0.0]), None, "q [nm^-1]")
    other = FileCurve("buffer", q - 0.5, np.array([11.0, 13.0, 25.0, 45.0]), None, "q [nm^-1]")
    figure, panels = pyplot.subplots(2, 1)
    curve_plot._draw_differences(panels, [first, other], View(clip=0))
    difference, percent = (axes.get_lines()[0].get_ydata() for axes in panels)
    np.testing.assert_allclose(difference, [2.0, -1.0, -5.0, NAN])
    np.testing.assert_allclose(percent, [20.0, -5.0, -12.5, NAN])
    pyplot.close(figure)


def test_without_a_display_or_a_toolkit_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert not has_display(), "Agg draws to files only"
    curve = FileCurve("agbeh", np.arange(3.0), np.arange(3.0), None, "q")
    with pytest.raises(NotAllowedError, match="name a file with --out"):
        plot_files([curve], View(), None, compare=False, legend=True, title="")
