"""The cut-out of a candidate as a FITS file."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

from devices.drivers.candidate_record import CandidateContext, isot
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.sky import SkyGrid


def candidate_fits(
    candidate: Candidate, cutout: NDArray[np.float32], spectrum: NDArray[np.float32], context: CandidateContext
) -> bytes:
    """The content of the file.

    The primary array is the cut-out, de-dispersed, NAXIS1 to 4: right ascension, declination, time from the arrival,
    frequency. ``SPECTRUM`` is the dynamic spectrum before that (time from the gulp's first sample, channel), and
    ``CHANNELS`` a table of frequencies, delays and presence.

    Args:
        cutout: axes (channel, sample, y, x).
        spectrum: axes (channel, sample), the first sample lies ``context.look_back`` before the gulp's.
    """
    from astropy.io import fits

    primary = fits.PrimaryHDU(np.asarray(cutout, np.float32))
    header = primary.header
    # Nothing of network text goes in here unchecked: it would break cards.
    for key, value, comment in (
        ("OBJECT", candidate.name, "candidate"),
        ("TELESCOP", "DSA-110", ""),
        ("DATE-OBS", isot(candidate.mjd), "arrival at the lowest frequency, UTC"),
        ("MJD-OBS", candidate.mjd, "[d] the same"),
        ("GULP", candidate.isot, "first sample of the gulp, as nodes sent it"),
        ("SNR", candidate.snr, "[sigma] significance"),
        ("DM", candidate.dm, "[pc/cm3] of the trial, removed here"),
        ("WIDTH", candidate.width_s, "[s] of the trial"),
        ("DMINDEX", candidate.dm_index, "trial"),
        ("WINDEX", candidate.width_index, "trial"),
        ("SAMPLE", candidate.sample, "first sample, from the gulp's first"),
        ("XPIX", candidate.x, "of the full image, from 0"),
        ("YPIX", candidate.y, "of the full image, from 0"),
        ("REVISION", candidate.revision, ""),
        ("KIND", candidate.kind, "of search"),
        ("INJECTED", candidate.injected, "a synthetic pulse"),
        ("PRFI", candidate.rfi_probability, "probability of interference"),
        ("BUNIT", "", "as the nodes sent, baseline removed"),
    ):
        if not (isinstance(value, float) and math.isnan(value)):
            header[key] = (value, comment)
    header.update(_axes(candidate, cutout.shape, context))
    channels = fits.BinTableHDU.from_columns(
        [
            fits.Column("FREQUENCY", "D", "MHz", array=np.array(context.band.frequencies_mhz)),
            fits.Column("DELAY", "D", "s", array=-context.band.sample_s * context.band.lead_samples(candidate.dm)),
            fits.Column("PRESENT", "L", array=np.array(context.present, np.bool_)),
        ],
        name="CHANNELS",
    )
    dynamic = fits.ImageHDU(np.asarray(spectrum, np.float32), name="SPECTRUM")
    time = {"CTYPE1": "TIME", "CUNIT1": "s", "CDELT1": context.band.sample_s, "CRPIX1": context.look_back + 0.5}
    dynamic.header.update(time | {"CRVAL1": 0.0, "CTYPE2": "CHANNEL", "CRPIX2": 1.0, "CRVAL2": 0.0, "CDELT2": 1.0})
    out = io.BytesIO()
    fits.HDUList([primary, dynamic, channels]).writeto(out)
    return out.getvalue()


def _axes(candidate: Candidate, shape: tuple[int, ...], context: CandidateContext) -> dict[str, float | str]:
    """World coordinates; the candidate's pixel is in the middle, and the middle of its window, too."""
    channels, samples, rows, columns = shape
    axes: dict[str, float | str] = {}
    if context.pointed:
        grid = SkyGrid(context.gulp_mjd, context.uv_diag_m, context.dec_deg, context.size)
        axes |= {
            key: value for key, value in grid.wcs.to_header().items() if key not in ("MJD-OBS", "DATE-OBS", "MJDREF")
        }
        axes["WCSAXES"] = 4
        axes["CRPIX1"] = float(axes["CRPIX1"]) - (candidate.x - columns // 2)
        axes["CRPIX2"] = float(axes["CRPIX2"]) - (candidate.y - rows // 2)
    width = round(candidate.width_s / context.band.sample_s)
    axes |= {"CTYPE3": "TIME", "CUNIT3": "s", "CDELT3": context.band.sample_s, "CRVAL3": 0.0}
    # Time 0 is where the window's first sample begins.
    axes["CRPIX3"] = (samples - width + 1) // 2 + 0.5
    hertz = 1e6 * np.array(context.band.frequencies_mhz)
    step = float(np.mean(np.diff(hertz))) if channels > 1 else 0.0
    if step and np.allclose(np.diff(hertz), step, rtol=1e-6):
        axes |= {"CTYPE4": "FREQ", "CUNIT4": "Hz", "CRPIX4": 1.0, "CRVAL4": float(hertz[0]), "CDELT4": step}
    else:
        axes |= {"CTYPE4": "CHANNEL", "CRPIX4": 1.0, "CRVAL4": 0.0, "CDELT4": 1.0}
    return axes
