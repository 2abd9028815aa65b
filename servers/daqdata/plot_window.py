"""Where plots of images are shown: a window, a notebook's cell, or a file. Nothing but plots imports matplotlib."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devices.core.errors import NotAllowedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What matplotlib draws with where it has no toolkit for windows.
FILES_ONLY: Final = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


class PlotWindow:
    """A figure that is drawn again every few seconds.

    Args:
        period_s: at least so long between two drawings; 0: at every update.
        in_notebook: the figure takes the place of the one before in the cell's output.
        output: a file that is written at each drawing, in the place of a window.
    """

    def __init__(self, period_s: float, *, in_notebook: bool = False, output: Path | None = None) -> None:
        self.period_s, self.in_notebook, self.output = period_s, in_notebook, output
        self.figure: Figure | None = None
        self._drawn = float("-inf")

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._drawn >= self.period_s

    def subplots(self, rows: int, columns: int, width: float, row_height: float) -> Any:
        """New axes, (rows, columns), in the place of those before."""
        import matplotlib.pyplot as plt

        if self.figure is not None:
            plt.close(self.figure)
        self.figure, axes = plt.subplots(
            rows, columns, squeeze=False, figsize=(width, row_height * rows + 0.6), layout="constrained"
        )
        return axes

    def draw(self) -> None:
        """Show the figure as it is now."""
        self._drawn = time.monotonic()
        if self.figure is None:
            return
        if self.output is not None:
            part = self.output.with_name(f".part.{self.output.name}")  # who looks at it never sees half of it
            self.figure.savefig(part)
            part.replace(self.output)
        elif self.in_notebook:
            from IPython import display

            display.clear_output(wait=True)  # type: ignore[no-untyped-call]
            display.display(self.figure)  # type: ignore[no-untyped-call]
        else:
            import matplotlib.pyplot as plt

            if plt.get_backend().lower() not in FILES_ONLY:
                self.figure.show()
            self.figure.canvas.draw_idle()
            self.figure.canvas.flush_events()

    def close(self) -> None:
        import matplotlib.pyplot as plt

        if self.figure is not None:
            plt.close(self.figure)
            self.figure = None


def check_display() -> None:
    """Raises NotAllowedError: no window can be opened here."""
    import matplotlib.pyplot as plt

    has_display = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display or plt.get_backend().lower() in FILES_ONLY:
        raise NotAllowedError("there is no display for a window; --output FILE writes the plot to a file")
