"""The summary of a candidate as a picture: image, dynamic spectra, time series and what was measured."""

from __future__ import annotations

import io
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from devices.drivers.candidate_record import CandidateContext, isot
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.candidates.cut_out import dynamic_spectrum


def candidate_png(
    candidate: Candidate, cutout: NDArray[np.float32], spectrum: NDArray[np.float32], context: CandidateContext
) -> bytes:
    """The content of a PNG file of 900 x 600 pixels.

    Args:
        cutout: de-dispersed and centred; axes (channel, sample, y, x).
        spectrum: axes (channel, sample), the first sample lies ``context.look_back`` before the gulp's.
    """
    figure = Figure(figsize=(9.0, 6.0), dpi=100)
    FigureCanvasAgg(figure)
    # Places by hand: to have them found takes longer than all the rest.
    grid = figure.add_gridspec(2, 2, left=0.07, right=0.98, bottom=0.08, top=0.88, wspace=0.2, hspace=0.32)
    image, sweep, series, straight = (
        figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, 0], grid[1, 1])
    )
    middle = cutout.shape[2] // 2
    aligned = dynamic_spectrum(cutout, middle, middle)
    width = max(round(candidate.width_s / context.band.sample_s), 1)
    first = (cutout.shape[1] - width + 1) // 2
    _show_image(image, cutout[:, first : first + width].mean(axis=(0, 1)), candidate)
    _show_spectrum(sweep, spectrum, -context.look_back - 0.5, context, "sample of the gulp")
    begins = candidate.sample - context.band.lead_samples(candidate.dm)
    rows = np.arange(len(begins))
    for edge in (begins, begins + candidate.width_s / context.band.sample_s):
        sweep.plot(edge - 0.5, rows, color="white", linewidth=0.8, linestyle=":")
    _show_spectrum(straight, aligned, -first - 0.5, context, "sample from the arrival, de-dispersed")
    series.step(np.arange(cutout.shape[1]) - first, np.nansum(aligned, axis=0), where="mid", color="black")
    series.axvspan(-0.5, width - 0.5, color="tab:orange", alpha=0.3, linewidth=0)
    series.set(xlabel="sample from the arrival", ylabel="sum of channels")
    figure.text(0.5, 0.965, _title(candidate), fontsize=11, ha="center", va="center")
    figure.text(0.5, 0.93, _measured(candidate), fontsize=9, ha="center", va="center")
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": "Diptych", "Title": candidate.name})
    return out.getvalue()


def _show_image(axes: Axes, mean: NDArray[np.float32], candidate: Candidate) -> None:
    half = mean.shape[0] // 2
    left, low = candidate.x - half - 0.5, candidate.y - half - 0.5
    axes.imshow(
        mean,
        origin="lower",
        cmap="viridis",
        extent=(left, left + mean.shape[1], low, low + mean.shape[0]),
        aspect="equal",
    )
    axes.set(xlabel="x, pixels to the west", ylabel="y, pixels to the north", title="mean of the pulse")
    axes.title.set_fontsize(9)


def _show_spectrum(
    axes: Axes, spectrum: NDArray[np.float32], left: float, context: CandidateContext, label: str
) -> None:
    channels, samples = spectrum.shape
    shown = np.ma.masked_invalid(spectrum)
    axes.imshow(
        shown,
        origin="upper",
        aspect="auto",
        cmap="viridis",
        interpolation="nearest",
        extent=(left, left + samples, channels - 0.5, -0.5),
    )
    axes.set(xlabel=label, ylabel="MHz")
    ticks = sorted({0, channels // 2, channels - 1})
    axes.set_yticks(ticks, [f"{context.band.frequencies_mhz[tick]:.0f}" for tick in ticks])


def _title(candidate: Candidate) -> str:
    kind = "injected " if candidate.injected else ""
    revision = f", revision {candidate.revision}" if candidate.revision else ""
    return f"{kind}{candidate.name}   {isot(candidate.mjd)[:-3]} UTC   S/N {candidate.snr:.1f}{revision}"


def _measured(candidate: Candidate) -> str:
    place = "no pointing"
    if math.isfinite(candidate.ra_deg):
        place = f"RA {candidate.ra_deg:.4f}, Dec {candidate.dec_deg:+.4f} deg"
    sure = "not classified"
    if math.isfinite(candidate.rfi_probability):
        sure = f"P(interference) {candidate.rfi_probability:.3f}"
    return f"DM {candidate.dm:.1f} pc/cm3, width {candidate.width_s * 1000.0:.0f} ms, {place}, {sure}, {candidate.kind}"
