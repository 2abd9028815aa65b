"""``diptych history``: trends for a person and for files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError
from servers.facility.facility_file import Facility
from servers.history.export import write_csv, write_parquet
from servers.history.place import open_history, state_of
from servers.history.store import Trend
from servers.history.when import moment_s

EVERY: Final = 1 << 40  # points: no bound


def answer(
    facility: Facility,
    pvs: Sequence[str],
    *,
    begin: str,
    end: str,
    points: int | None,
    kind: str,
    output: Path | None,
) -> Iterator[str]:
    """Write trends to a file or to stdout; yields what else there is to say.

    Args:
        pvs: without any, the state of the recording and the names of what is recorded.
        begin, end: see `moment_s`.
        points: at most so many of each PV; None for every sample.
        kind: ``csv`` or ``parquet``.

    Raises:
        ConfigurationError: the facility has no history; ``parquet`` without a file.
        BadValueError, RangeError, UnknownNameError: of the question.
        StoreAwayError: there is nothing yet, or the database does not answer.
    """
    if kind == "parquet" and output is None:
        raise ConfigurationError("--parquet", ["is no text: name a file with --output FILE"])
    now_s = time.time()
    with closing(open_history(facility)) as history:
        if not pvs:
            state = state_of(facility)
            yield f"# {state.line(now_s) if state else 'not recording: no recorder ever ran here'}"
            yield from history.pvs()
            return
        trends = history.query(pvs, moment_s(begin, now_s), moment_s(end, now_s), points or EVERY)
    yield from _write(trends, kind, output)


def _write(trends: Sequence[Trend], kind: str, output: Path | None) -> Iterator[str]:
    if output is None:
        write_csv(trends, sys.stdout)
        return
    if kind == "parquet":
        write_parquet(trends, output)
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            write_csv(trends, file)
    yield f"{output}: {sum(len(trend.points) for trend in trends)} points of {len(trends)} PVs"
