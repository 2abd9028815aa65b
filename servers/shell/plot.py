"""A curve or a picture of an array, in a window or, without a screen, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from devices.core.errors import BadValueError


def plot(values: Any, title: str = "", file: str | Path = "plot.png") -> str:
    """Plot an array: a curve, or a picture, lowest row first, between its 1st and 99th percentile.

    Args:
        file: where it goes without a screen.
    Returns:
        What was done, for a person.
    """
    import matplotlib
    from matplotlib import pyplot

    array = np.asarray(values)
    if array.ndim not in (1, 2) or not array.size or array.dtype.kind not in "biuf":
        raise BadValueError(f"an array of {array.ndim} axes and {array.size} {array.dtype} values cannot be plotted")
    figure, axes = pyplot.subplots()
    if array.ndim == 1:
        axes.plot(array)
    else:
        low, high = np.nanpercentile(array, (1.0, 99.0))
        figure.colorbar(axes.imshow(array, origin="lower", cmap="gray", vmin=low, vmax=high, interpolation="nearest"))
    axes.set_title(title)
    if matplotlib.get_backend().casefold() == "agg":
        figure.savefig(file)
        pyplot.close(figure)
        return f"written to {Path(file).absolute()}"
    figure.show()
    return "shown"
