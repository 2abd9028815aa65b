"""Pictures of curves: those of files, and those that a server measures now. Nothing else imports matplotlib."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotAllowedError, NotConnectedError, RangeError
from devices.drivers.chi_file import read_chi

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scale = Literal["linear", "log", "symlog"]
PERIOD_S: Final = 1.0
#: What matplotlib draws with where it has no toolkit for windows.
FILES_ONLY: Final = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


@dataclass(frozen=True, eq=False)
class FileCurve:
    """A curve of a file.

    Args:
        name: of the file, without suffix.
        x, intensity, sigma: (points,); sigma None in files without it.
        x_label: with unit.
    """

    name: str
    x: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64] | None
    x_label: str

    @classmethod
    def read(cls, path: Path) -> FileCurve:
        """Raises:
        BadValueError: there is no such file. ProtocolError: it holds no curve.
        """
        head, columns = read_chi(path)
        sigma = columns[2] if len(columns) > 2 else None
        return cls(path.stem, columns[0], columns[1], sigma, _x_label(head))


@dataclass(frozen=True)
class View:
    """What is shown of a curve.

    Attributes:
        skip: points at its begin that are left out.
        clip: points at its end that are left out.
        x_scale, y_scale: of the axes.
    """

    skip: int = 0
    clip: int = 1
    x_scale: Scale = "linear"
    y_scale: Scale = "symlog"

    def part(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raises:
        RangeError: nothing is left.
        """
        found = column[self.skip : len(column) - self.clip]
        if not len(found):
            raise RangeError(f"--skip {self.skip} and --clip {self.clip} leave nothing of {len(column)} points")
        return found


def _x_label(head: Sequence[str]) -> str:
    """The first of the labels, which are a JSON list in one of the header lines of our files."""
    for line in head:
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, list) and found and isinstance(found[0], str):
                return found[0]
    return "q [nm^-1]"


def has_display() -> bool:
    """Whether a window can be opened here: there is a display, and matplotlib has a toolkit for it."""
    if sys.platform not in ("darwin", "win32") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    import matplotlib

    return matplotlib.get_backend().lower() not in FILES_ONLY


def plot_files(
    curves: Sequence[FileCurve], view: View, output: Path | None, *, compare: bool, legend: bool, title: str
) -> None:
    """Show curves in a window, or write them to a file.

    Args:
        output: the file, its kind by its suffix; None for a window.
        compare: below, the difference of each to the first, and what it is of the first in percent.

    Raises:
        NotAllowedError: there is neither a file nor a display.
        BadValueError: no picture has this suffix. RangeError: the view leaves nothing.
    """
    plt = _pyplot(output)
    rows = 3 if compare else 1
    figure, grid = plt.subplots(
        rows, 1, sharex=True, squeeze=False, figsize=(8.0, 4.5 + 2.5 * (rows - 1)), layout="constrained"
    )
    top, *below = grid[:, 0]
    for curve in curves:
        _draw(top, curve.name, curve.x, curve.intensity, curve.sigma, view)
    top.set(xscale=view.x_scale, yscale=view.y_scale, ylabel="I [counts/pixel]", title=title)
    if legend:
        top.legend()
    if compare:
        _draw_differences(below, curves, view)
    (below or [top])[-1].set_xlabel(curves[0].x_label)
    _finish(plt, figure, output)


def plot_live(
    ask: Callable[[], dict[str, Any]], view: View, output: Path | None = None, period_s: float = PERIOD_S
) -> None:
    """Show the newest curves of a server until the window is closed or Ctrl-C, or write them to a file once.

    A server that was there and goes away is waited for.

    Args:
        ask: gives the data of a reply to ``plot``; empty without an image.

    Raises:
        NotAllowedError: there is neither a file nor a display. NotConnectedError: the server is not there.
    """
    plt = _pyplot(output)
    data = ask()
    figure = plt.figure(figsize=(8.0, 3.0 + 2.0 * len(data.get("graphs", [0]))), layout="constrained")
    shown = ""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if data.get("graphs") and data["filename"] != shown:
                shown = data["filename"]
                figure.clear()
                draw_reply(figure, data, view)
            if output is not None:
                _finish(plt, figure, output)
                return
            plt.pause(period_s)
            if not plt.fignum_exists(figure.number):
                return
            try:
                data = ask()
            except NotConnectedError as error:  # it is being started again
                shown, data = "", {}
                figure.suptitle(str(error))


def draw_reply(figure: Figure, data: dict[str, Any], view: View) -> None:
    """A panel for each graph of a reply to ``plot``."""
    graphs = data["graphs"]
    panels = figure.subplots(len(graphs), 1, squeeze=False)[:, 0]
    for axes, graph in zip(panels, graphs, strict=True):
        x, intensity, sigma = (np.array(row, dtype=float) for row in graph["array"])
        name = graph.get("mask", graph.get("slice", {})).get("Name") or graph["kind"]
        _draw(axes, str(name), x, intensity, sigma, view)
        labels = graph["columnLabels"]
        axes.set(xscale=view.x_scale, yscale=view.y_scale, xlabel=labels[0], ylabel=labels[1])
        axes.legend()
    figure.suptitle(Path(data["filename"]).name)


def _draw(
    axes: Axes,
    name: str,
    x: NDArray[np.float64],
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64] | None,
    view: View,
) -> None:
    x, intensity = view.part(x), view.part(intensity)
    (line,) = axes.plot(x, intensity, label=name, linewidth=1.0)
    if sigma is not None:
        sigma = view.part(sigma)
        axes.fill_between(x, intensity - sigma, intensity + sigma, alpha=0.25, color=line.get_color(), linewidth=0)


def _draw_differences(panels: Sequence[Axes], curves: Sequence[FileCurve], view: View) -> None:
    """Of curves with other bins than the first, at the bins of the first."""
    first, *others = curves
    x, expected = view.part(first.x), view.part(first.intensity)
    for curve in others:
        difference = np.interp(x, curve.x, curve.intensity, left=np.nan, right=np.nan) - expected
        with np.errstate(divide="ignore", invalid="ignore"):
            percent = 100.0 * difference / expected
        panels[0].plot(x, difference, label=curve.name, linewidth=1.0)
        panels[1].plot(x, percent, linewidth=1.0)
    panels[0].set_ylabel(f"difference to {first.name}")
    panels[1].set_ylabel("difference [%]")


def _pyplot(output: Path | None) -> Any:
    if output is None and not has_display():
        raise NotAllowedError("no window can be opened here: name a file with --out")
    import matplotlib

    if output is not None:
        matplotlib.use("Agg")
    from matplotlib import pyplot

    if output is not None and output.suffix.lstrip(".") not in pyplot.gcf().canvas.get_supported_filetypes():
        known = ", ".join(sorted(pyplot.gcf().canvas.get_supported_filetypes()))
        raise BadValueError(f"{output}: pictures are {known}")
    pyplot.close("all")
    return pyplot


def _finish(plt: Any, figure: Figure, output: Path | None) -> None:
    if output is None:
        with contextlib.suppress(KeyboardInterrupt):
            plt.show()
    else:
        figure.savefig(output)
    plt.close(figure)
