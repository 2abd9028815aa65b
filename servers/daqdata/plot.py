"""Live plots of images: the newest of each module, how high pulses are, how many images a second come."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from servers.daqdata.plot_window import PlotWindow

MOVIE: Final = "MOVIE"
PULSE_HEIGHT: Final = "PULSE_HEIGHT"
TITLES: Final = {PULSE_HEIGHT: "pulse height", MOVIE: "movie"}
UNITS: Final = {PULSE_HEIGHT: "adu", MOVIE: "counts"}
#: Of the pixels of all modules, which the colours reach from and to: one hot pixel does not hide the others.
PERCENTILES: Final = (1.0, 99.5)
CELL_INCHES: Final = 4.0
BINS: Final = 60

Image = Mapping[str, Any]


class PanoImagePreviewer:
    """The newest images of each module: a row for each module, pulse heights beside movies.

    Args:
        stream_movie_data, stream_pulse_height_data: which columns there are.
        module_id_whitelist: empty: all modules that come.
        text_width: characters of a file's name that are shown.
        font_size: points. row_height: inches.
        window_size: drawings over which the limits of the colours are averaged, so that they do not flicker.
        plot_update_interval: s between two drawings.
        jupyter_notebook: draws into the cell's output.
        output: a file in the place of a window.
    """

    def __init__(
        self,
        stream_movie_data: bool,
        stream_pulse_height_data: bool,
        module_id_whitelist: Collection[int] = (),
        text_width: int = 30,
        font_size: int = 8,
        row_height: float = 3,
        window_size: int = 10,
        plot_update_interval: float = 1.0,
        jupyter_notebook: bool = False,
        output: Path | None = None,
    ) -> None:
        self.window = PlotWindow(plot_update_interval, in_notebook=jupyter_notebook, output=output)
        self._kinds = [
            kind
            for kind, is_wanted in ((PULSE_HEIGHT, stream_pulse_height_data), (MOVIE, stream_movie_data))
            if is_wanted
        ]
        self._modules = frozenset(module_id_whitelist)
        self._text_width, self._font_size, self._row_height = text_width, font_size, row_height
        self._newest: dict[tuple[int, str], Image] = {}
        self._pictures: dict[tuple[int, str], Any] = {}
        self._limits = {kind: deque[Any](maxlen=window_size) for kind in self._kinds}

    @property
    def fig(self) -> Any:
        return self.window.figure

    @property
    def seen_modules(self) -> set[int]:
        return {module for module, _ in self._newest}

    def update(self, parsed_pano_image: Image) -> None:
        """An image has come; it is drawn when it is time."""
        module, kind = parsed_pano_image["module_id"], parsed_pano_image["type"]
        if kind not in self._kinds or (self._modules and module not in self._modules):
            return
        self._newest[module, kind] = parsed_pano_image
        if self.window.is_due:
            self.plot()

    def plot(self) -> None:
        """Draw the newest images now."""
        if not self._newest:
            return
        modules = sorted(self.seen_modules)
        if modules != sorted({module for module, _ in self._pictures}):
            self._lay_out(modules)
        for kind in self._kinds:
            images = [image["image_array"] for (_, each), image in self._newest.items() if each == kind]
            if images:
                pixels = np.concatenate([image.ravel() for image in images])
                self._limits[kind].append(np.percentile(pixels, PERCENTILES))
        for key, image in self._newest.items():
            self._show(key, image)
        self.window.draw()

    def _lay_out(self, modules: Sequence[int]) -> None:
        axes = self.window.subplots(len(modules), len(self._kinds), CELL_INCHES * len(self._kinds), self._row_height)
        self._pictures.clear()
        for row, module in zip(axes, modules, strict=True):
            for axis, kind in zip(row, self._kinds, strict=True):
                axis.set_axis_off()
                axis.set_title(f"module {module}, {TITLES[kind]}: none yet", fontsize=self._font_size)
                picture = axis.imshow(np.zeros((1, 1)), cmap="plasma", interpolation="nearest")
                axis.figure.colorbar(picture, ax=axis, label=UNITS[kind])
                self._pictures[module, kind] = picture

    def _show(self, key: tuple[int, str], image: Image) -> None:
        module, kind = key
        picture = self._pictures[key]
        pixels = image["image_array"]
        picture.set_data(pixels)
        rows, columns = pixels.shape
        picture.set_extent((-0.5, columns - 0.5, rows - 0.5, -0.5))
        low, high = np.mean(self._limits[kind], axis=0)
        picture.set_clim(low, max(high, low + 1.0))
        file = image["file"]
        name = file if len(file) <= self._text_width else f"...{file[-self._text_width :]}"
        picture.axes.set_title(
            f"module {module}, {TITLES[kind]}, {when(image)}\n{name} #{image['frame_number']}", fontsize=self._font_size
        )


class PulseHeightDistribution:
    """How high the highest pixel of each pulse-height image was lately: a histogram for each of several durations.

    Args:
        durations_seconds: over which images are taken, s.
        module_ids: empty: all modules that come.
        plot_update_interval: s between two drawings.
        jupyter_notebook, output: as of PanoImagePreviewer.
    """

    def __init__(
        self,
        durations_seconds: Sequence[float],
        module_ids: Collection[int],
        plot_update_interval: float,
        jupyter_notebook: bool = False,
        output: Path | None = None,
    ) -> None:
        self.window = PlotWindow(plot_update_interval, in_notebook=jupyter_notebook, output=output)
        self.durations = sorted(durations_seconds)
        self._modules = frozenset(module_ids)
        self._heights: dict[int, deque[tuple[float, int]]] = {}

    @property
    def fig(self) -> Any:
        return self.window.figure

    def update(self, parsed_pano_image: Image) -> None:
        """An image has come; the histograms are drawn when it is time."""
        module = parsed_pano_image["module_id"]
        if parsed_pano_image["type"] != PULSE_HEIGHT or (self._modules and module not in self._modules):
            return
        heights = self._heights.setdefault(module, deque())
        now = time.monotonic()
        heights.append((now, int(parsed_pano_image["image_array"].max())))
        while heights[0][0] < now - self.durations[-1]:
            heights.popleft()
        if self.window.is_due:
            self.plot()

    def heights(self, module: int, duration_seconds: float) -> list[int]:
        """The heights of the last so many seconds, adu."""
        begin = time.monotonic() - duration_seconds
        return [height for made, height in self._heights.get(module, ()) if made >= begin]

    def plot(self) -> None:
        """Draw the histograms now."""
        if self.window.figure is None:
            self.window.subplots(len(self.durations), 1, 6.0, 2.9)
        assert self.window.figure is not None
        axes = self.window.figure.axes
        for axis, duration in zip(axes, self.durations, strict=True):
            axis.clear()
            found = {module: self.heights(module, duration) for module in sorted(self._heights)}
            every = [height for heights in found.values() for height in heights]
            if every:
                bins = np.linspace(min(every), max(every) + 1, BINS).tolist()
                for module, heights in found.items():
                    axis.hist(heights, bins=bins, histtype="step", label=f"module {module}, {len(heights)} images")
                axis.legend(fontsize=8)
            axis.set(title=f"last {duration:g} s", xlabel="highest pixel [adu]", ylabel="images")
        self.window.draw()


class SpeedMeter:
    """Counts images, and tells once a second how many came."""

    def __init__(self, period_s: float = 1.0) -> None:
        self.period_s = period_s
        self._count, self._since = 0, time.monotonic()

    def update(self) -> str | None:
        """An image has come; a line when it is time."""
        self._count += 1
        return self.line() if time.monotonic() - self._since >= self.period_s else None

    def line(self) -> str:
        """How many came since the last line."""
        now = time.monotonic()
        seconds, count = max(now - self._since, 1e-9), self._count
        self._count, self._since = 0, now
        return f"{count:>6} images / {seconds:.3f} s = {count / seconds:10.1f} images/s"


def when(image: Image) -> str:
    """The time of an image to the millisecond, UTC; ``host`` when that is not White Rabbit's."""
    header = image["header"]
    made = header.get("pkt_unix_timestamp") if not header.get("wr_valid") else header["wr_unix_timestamp"]
    if made is None:
        return "no time"
    text = datetime.fromtimestamp(float(made), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return text if header.get("wr_valid") else f"{text} (host)"
