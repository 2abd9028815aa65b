"""What is written of a candidate as text: its JSON record and its row in the table of a gulp."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from devices.core.errors import BadValueError
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.search.band import Band
from devices.pipelines.search.trials import Trials

#: Samples of the telescope's baseband recorder, in which it counts widths, s; and its spectra, per second.
BASEBAND_SAMPLE_S: Final = 0.256e-3
SPECTRA_PER_S: Final = 250e6 / 8192 / 2
COLUMNS: Final = ("candname", "RA index", "DEC index", "WIDTH index", "DM index", "TOA", "SNR", "PROB")

_ISOT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?", re.ASCII)
_NAME: Final = re.compile(r"\d{6}[a-z]{4}", re.ASCII)


@dataclass(frozen=True)
class CandidateContext:
    """The search that found a candidate, and the gulp.

    Attributes:
        band, trials: of the search; a slow search has samples of its own length.
        threshold: sigma. noise: that the significance was divided by, of the sum over the trial's window; NaN: not
            known. spatial_filter: whether images were correlated with the point-spread function.
        gulp_number, gulp_mjd: as in the gulp. uv_diag_m, dec_deg: NaN where the nodes gave no pointing.
        size: of the images, pixels.
        present: whether the channel came; axis: channel.
        look_back: samples of the dynamic spectrum before the gulp's first.
        mjd_start: when the telescope's recorder began to count spectra, days; NaN: not known.
        stream: of VOEvents, an IVOA identifier. author: who answers for them.
    """

    band: Band
    trials: Trials
    threshold: float
    gulp_number: int
    gulp_mjd: float
    size: int
    present: tuple[bool, ...]
    look_back: int
    uv_diag_m: float = math.nan
    dec_deg: float = math.nan
    noise: float = math.nan
    spatial_filter: bool = False
    mjd_start: float = math.nan
    stream: str = "ivo://diptych.local/correlator"
    author: str = "Diptych correlator server"

    @property
    def pointed(self) -> bool:
        """Whether pixels have places in the sky."""
        return math.isfinite(self.uv_diag_m) and math.isfinite(self.dec_deg)


def checked(candidate: Candidate) -> Candidate:
    """The candidate, if its name and the time of its gulp can be parts of paths: both come from messages of nodes.

    Raises:
        BadValueError: they are something else.
    """
    if not _NAME.fullmatch(candidate.name):
        raise BadValueError(f"name = {candidate.name!r} is not yymmdd and four letters")
    if not _ISOT.fullmatch(candidate.isot):
        raise BadValueError(f"isot = {candidate.isot!r} is not a time like 2026-11-21T03:12:04.215")
    return candidate


def is_isot(text: str) -> bool:
    """Whether a folder may be that of a gulp."""
    return bool(_ISOT.fullmatch(text))


def is_name(text: str) -> bool:
    """Whether a text is the name of a candidate."""
    return bool(_NAME.fullmatch(text))


def isot(mjd: float) -> str:
    """A time as text, UTC, to a microsecond: ``2026-11-21T03:12:04.215000``."""
    time = datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=mjd)
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")


def record(candidate: Candidate, context: CandidateContext) -> dict[str, Any]:
    """The record of a candidate: the fields that DSA-110's clients read, then ours; what is not known is None.

    Of the former: ``mjds`` is the arrival, days; ``ibox`` the width in baseband samples of 0.256 ms; ``cntb`` and
    ``cntc`` beams and voxels in the group; ``ibeam`` -1: images have no beams; ``specnum`` and ``itime`` count spectra
    of the recorder; ``P`` is the probability of interference.
    """
    specnum = round((candidate.mjd - context.mjd_start) * 86400.0 * SPECTRA_PER_S) if context.mjd_start > 0.0 else None
    theirs = {
        "mjds": candidate.mjd,
        "isot": candidate.isot,
        "snr": candidate.snr,
        "ibox": round(candidate.width_s / BASEBAND_SAMPLE_S),
        "dm": candidate.dm,
        "ibeam": -1,
        "cntb": 1,
        "cntc": candidate.members,
        "itime": None if specnum is None else specnum // 4 + 1907,
        "specnum": specnum,
        "ra": candidate.ra_deg,
        "dec": candidate.dec_deg,
        "trigname": candidate.name,
        "P": candidate.rfi_probability,
    }
    search = {
        "threshold": context.threshold,
        "noise": context.noise,
        "spatial_filter": context.spatial_filter,
        "dms": context.trials.dms,
        "widths": context.trials.widths,
        "frequencies_mhz": context.band.frequencies_mhz,
        "reference_mhz": context.band.reference_mhz,
        "sample_s": context.band.sample_s,
        "present": context.present,
        "lead_samples": context.band.lead_samples(candidate.dm).tolist(),
    }
    gulp = {
        "number": context.gulp_number,
        "mjd": context.gulp_mjd,
        "uv_diag_m": context.uv_diag_m,
        "dec_deg": context.dec_deg,
        "size": context.size,
    }
    full: dict[str, Any] = _known(theirs | asdict(candidate) | {"search": search, "gulp": gulp})
    return full


def record_json(candidate: Candidate, context: CandidateContext) -> bytes:
    """The record as a JSON file; numbers keep all their digits."""
    return (json.dumps(record(candidate, context), indent=1, allow_nan=False) + "\n").encode()


def table_row(candidate: Candidate) -> tuple[str, ...]:
    """The row of a candidate, in `COLUMNS`; TOA is the first sample of its window, SNR is not cut to a whole number."""
    p = candidate.rfi_probability
    numbers = (candidate.x, candidate.y, candidate.width_index, candidate.dm_index, candidate.sample)
    return (candidate.name, *map(str, numbers), f"{candidate.snr:.4f}", "" if math.isnan(p) else f"{p:.6f}")


def table(before: str, candidate: Candidate) -> str:
    """The table of a gulp with a candidate added; a row of the same name is replaced.

    Raises:
        BadValueError: what stood there before is no such table.
    """
    rows = list(csv.reader(io.StringIO(before)))
    if rows and tuple(rows[0]) != COLUMNS:
        raise BadValueError(f"a table of candidates begins with {','.join(COLUMNS)}, this one with {rows[0]}")
    out = io.StringIO()
    kept = [row for row in rows[1:] if row and row[0] != candidate.name]
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *kept, table_row(candidate)])
    return out.getvalue()


def candidate_of(read: dict[str, Any]) -> Candidate:
    """The candidate of a record that was read from its file.

    Raises:
        BadValueError: fields are missing.
    """
    try:
        values: dict[str, Any] = {field.name: read[field.name] for field in fields(Candidate)}
    except KeyError as error:
        raise BadValueError(f"the record of a candidate has no field {error}") from error
    known: dict[str, Any] = {name: math.nan if value is None else value for name, value in values.items()}
    return Candidate(**known)


def _known(value: Any) -> Any:
    """JSON has no NaN: None."""
    if isinstance(value, dict):
        return {name: _known(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_known(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
