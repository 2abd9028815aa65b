"""An image as the words of an ARC timing board have it."""

from __future__ import annotations

from devices.core.errors import RangeError
from devices.drivers.arc_commands import LARGEST_WORD, TimingWord
from devices.pipelines.ccd.detector import Geometry


def timing_words(geometry: Geometry) -> dict[TimingWord, int]:
    """What stands in the timing board's Y memory for this image; counts of one amplifier.

    Raises:
        RangeError: a count does not fit a word.
    """
    columns, rows, plane = geometry.columns, geometry.rows, geometry.focal_plane
    found = {
        TimingWord.NSDATA: columns.data,
        TimingWord.NPDATA: rows.data,
        TimingWord.NSBIN: columns.binning,
        TimingWord.NPBIN: rows.binning,
        TimingWord.NSAMPS: plane.amps_x,
        TimingWord.NPAMPS: plane.amps_y,
        TimingWord.NSCLEAR: columns.clocked,
        TimingWord.NPCLEAR: rows.clocked,
        TimingWord.NSPRESKIP: columns.pre_skip,
        TimingWord.NSUNDERSCAN: columns.underscan,
        TimingWord.NSSKIP: columns.skip,
        TimingWord.NSPOSTSKIP: columns.post_skip,
        TimingWord.NSOVERSCAN: columns.overscan,
        TimingWord.NPPRESKIP: rows.pre_skip,
        TimingWord.NPUNDERSCAN: rows.underscan,
        TimingWord.NPSKIP: rows.skip,
        TimingWord.NPPOSTSKIP: rows.post_skip,
        TimingWord.NPOVERSCAN: rows.overscan,
        TimingWord.FRAMET: geometry.format.frame_transfer,
        TimingWord.NSIMAGE: plane.amps_x * columns.read,
        TimingWord.NPIMAGE: plane.amps_y * rows.read,
    }
    for name, value in found.items():
        if not 0 <= value <= LARGEST_WORD:
            raise RangeError(f"{name.name} = {value} is no word of 24 bits")
    return found
