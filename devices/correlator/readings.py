"""What a correlator image server shows: gulps, nodes, significances, candidates, and how the search keeps up."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any, Final

import numpy as np

from devices.core import Deadband, Device, attribute
from devices.core.datatype import DataType
from devices.correlator.assembler import Assembler
from devices.correlator.candidate_log import KEPT, CandidateLog
from devices.correlator.engine import Engine
from devices.correlator.gulp import Gulp
from devices.correlator.job import Found
from devices.correlator.nodes import Node, Nodes
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.candidates.candidate import Candidate

MOST_NODES: Final = 1024
MOST_DMS: Final = 255
MOST_WIDTHS: Final = 32
MOST_STAGES: Final = 32
#: A node that has sent nothing for so long is silent, s: three gulps.
SILENT_GULPS: Final = 3.0
RECENT_S: Final = 60.0
NAME_LIMIT: Final = 39
#: Candidates in the list for people.
LISTED: Final = 30
COLUMN: Final = (KEPT,)
#: Also an equal value is an event: who waits for a trigger knows its readings by their common time stamp.
ALWAYS: Final = Deadband(period=0.0)
UNIX_EPOCH_MJD: Final = 40587.0


class CorrelatorReadings(Device):
    """The attributes of a correlator image server, and how they are shown."""

    properties_class = CorrelatorProperties
    properties: CorrelatorProperties

    # Gulps
    gulps_received = attribute(int, initial=0, group="Gulps", doc="Gulps that were given to the search")
    gulps_searched = attribute(int, initial=0, group="Gulps", doc="Gulps with a result")
    gulps_incomplete = attribute(int, initial=0, group="Gulps", doc="Gulps that lacked sub-bands")
    gulps_dropped = attribute(int, initial=0, group="Gulps", doc="Gulps not searched: the oldest of a full queue")
    gulps_lost = attribute(int, initial=0, group="Gulps", doc="Gulps not searched: the search died, hung or failed")
    gulps_ignored = attribute(int, initial=0, group="Gulps", doc="Gulps that came while the search was halted")
    recently_lost = attribute(
        int, initial=0, warning=(None, 1), alarm=(None, 5), group="Gulps",
        doc="Gulps of the last minute that were dropped, lost or given up",
    )  # fmt: skip
    sub_bands_late = attribute(int, initial=0, group="Gulps", doc="Sub-bands that came after their gulp was delivered")
    sub_bands_duplicate = attribute(int, initial=0, group="Gulps", doc="Sub-bands that came twice")
    sub_bands_missing = attribute(int, initial=0, group="Gulps", doc="Sub-bands that delivered gulps lacked")
    sub_bands_refused = attribute(int, initial=0, group="Gulps", doc="Sub-bands for which there was no slot")
    messages = attribute(int, initial=0, group="Gulps", doc="Messages of nodes that came whole")
    messages_refused = attribute(int, initial=0, group="Gulps", doc="Requests that were answered with an error")
    messages_unknown = attribute(int, initial=0, group="Gulps", doc="Of these, those of no known sub-band")
    gulp_isot = attribute(str, initial="", text_limit=NAME_LIMIT, group="Gulps", doc="Newest gulp with a result")
    gulp_present = attribute(bool, shape=(MOST_NODES,), initial=(), group="Gulps", doc="Which sub-bands it had")
    gulp_missing = attribute(int, initial=0, warning=(None, 1), group="Gulps", doc="How many sub-bands it lacked")
    gulp_complete = attribute(bool, initial=False, group="Gulps", doc="Whether the gulp before it was there, too")
    gulp_latency = attribute(
        float, unit="s", precision=2, initial=0.0, warning=(None, 5.0), group="Gulps",
        doc="From the last byte of the newest gulp to its candidates",
    )  # fmt: skip

    # The engine
    queue_depth = attribute(int, initial=0, group="Engine", doc="Cubes that wait or are searched")
    queue_capacity = attribute(int, initial=0, group="Engine", doc="How many there may be")
    queue_age = attribute(float, unit="s", precision=1, initial=0.0, group="Engine", doc="Age of the oldest that waits")
    search_seconds = attribute(float, unit="s", precision=3, initial=0.0, group="Engine", doc="Last search, all of it")
    stage_names = attribute(str, shape=(MOST_STAGES,), initial=(), group="Engine", doc="Stages of a search")
    stage_seconds = attribute(
        float, shape=(MOST_STAGES,), unit="s", precision=4, initial=(), group="Engine", doc="How long each stage took"
    )
    real_time_margin = attribute(
        float, precision=1, alarm=(1.0, None), warning=(1.2, None), group="Engine",
        doc="Length of a gulp over the time of its search, mean of ten; below 1 gulps are dropped",
    )  # fmt: skip
    memory_bound = attribute(float, unit="MB", precision=0, initial=0.0, group="Engine", doc="Of all cubes together")
    compute = attribute(str, initial="", text_limit=NAME_LIMIT, group="Engine", doc="Where the search runs")

    # Significances
    snr_map = attribute(np.float32, shape=(4096, 4096), group="Sky", doc="Greatest significance of each pixel, sigma")
    snr_max = attribute(float, precision=2, initial=0.0, group="Sky", doc="Greatest of them, sigma")
    snr_max_y = attribute(int, unit="px", initial=0, group="Sky", doc="Where it is")
    snr_max_x = attribute(int, unit="px", initial=0, group="Sky", doc="Where it is")
    voxels = attribute(int, initial=0, group="Sky", doc="Over the threshold in the newest gulp: pixel, width and DM")
    voxels_cut = attribute(int, initial=0, warning=(None, 1), group="Sky", doc="Those that were too many to look at")
    sigma_table = attribute(
        float, shape=(MOST_DMS, MOST_WIDTHS), group="Sky",
        doc="Noise of sums over samples and channels, in units of the images, (DM, width)",
    )  # fmt: skip
    channel_sigma = attribute(
        float, shape=(MOST_NODES,), group="Sky", doc="Noise of each sub-band, in units of the images; NaN: missing"
    )

    # Candidates
    candidates = attribute(str, initial="[]", text_limit=1 << 17, group="Candidates", doc="The newest 100, JSON")
    candidate_count = attribute(int, initial=0, group="Candidates", doc="Candidates since the start")
    candidate_names = attribute(str, shape=COLUMN, initial=(), group="Candidates", doc="Newest first")
    candidate_snr = attribute(float, shape=COLUMN, precision=1, initial=(), group="Candidates", doc="Sigma")
    candidate_dm = attribute(float, shape=COLUMN, unit="pc/cm3", precision=0, initial=(), group="Candidates")
    candidate_width = attribute(float, shape=COLUMN, unit="s", precision=2, initial=(), group="Candidates")
    candidate_ra = attribute(float, shape=COLUMN, unit="deg", precision=3, initial=(), group="Candidates", doc="J2000")
    candidate_dec = attribute(float, shape=COLUMN, unit="deg", precision=3, initial=(), group="Candidates", doc="J2000")
    candidate_rfi = attribute(
        float, shape=COLUMN, precision=3, initial=(), group="Candidates", doc="Probability that it is interference"
    )
    candidate_injected = attribute(
        bool, shape=COLUMN, initial=(), group="Candidates", doc="Whether it is an injected pulse"
    )
    candidate_list = attribute(str, initial="", text_limit=1 << 15, group="Candidates", doc="The newest, one a line")
    chosen_line = attribute(str, initial="", group="Candidates", doc="The candidate that is shown")
    chosen_image = attribute(
        np.float32, shape=(1001, 1001), group="Candidates", doc="Its image: mean of its samples and all channels"
    )
    chosen_spectrum = attribute(
        np.float32, shape=(MOST_NODES, 4096), group="Candidates",
        doc="Its dynamic spectrum, (channel, sample), de-dispersed as its trial is; 0: missing",
    )  # fmt: skip

    # Nodes
    node_age = attribute(
        float, shape=(MOST_NODES,), unit="s", precision=1, initial=(), group="Nodes",
        doc="Since when each node has sent nothing; NaN: since the start",
    )  # fmt: skip
    node_list = attribute(str, initial="", text_limit=1 << 17, group="Nodes", doc="Each node, one a line")
    node_rate = attribute(
        float, shape=(MOST_NODES,), unit="MB/s", precision=2, initial=(), group="Nodes", doc="What each node sends"
    )
    node_stored = attribute(int, shape=(MOST_NODES,), initial=(), group="Nodes", doc="Sub-bands taken from each")
    node_late = attribute(int, shape=(MOST_NODES,), initial=(), group="Nodes", doc="Sub-bands of each that were late")
    node_duplicate = attribute(int, shape=(MOST_NODES,), initial=(), group="Nodes", doc="Those that came twice")
    node_refused = attribute(int, shape=(MOST_NODES,), initial=(), group="Nodes", doc="Those refused for other reasons")
    node_resent = attribute(int, shape=(MOST_NODES,), initial=(), group="Nodes", doc="Those that were sent again")
    node_receipt = attribute(
        int, shape=(MOST_NODES,), initial=(), group="Nodes",
        doc="What each was last answered: 0 taken, 1 unreadable, 2 wrong length, 4 wrong shape, 8 not used",
    )  # fmt: skip
    nodes_silent = attribute(
        int, initial=0, warning=(None, 1), group="Nodes", doc="Nodes that were heard and have been silent for 3 gulps"
    )

    # Injections
    injection_expected = attribute(float, precision=1, initial=0.0, group="Injection", doc="Significance asked, sigma")
    injection_recovered = attribute(float, precision=1, initial=0.0, group="Injection", doc="Significance found, sigma")
    injection_candidate = attribute(
        str, initial="", text_limit=NAME_LIMIT, group="Injection", doc="The candidate that it became; empty: none"
    )
    injections = attribute(str, initial="[]", text_limit=1 << 16, group="Injection", doc="The last 20, JSON")

    # Triggers: the newest candidate that hooks are told of, where there are any
    triggers = attribute(int, initial=0, change=ALWAYS, group="Triggers", doc="Candidates strong enough for hooks")
    trigger_name = attribute(
        str, initial="", text_limit=NAME_LIMIT, change=ALWAYS, group="Triggers", doc="Of the newest; the rest follows"
    )
    trigger_time = attribute(
        float, unit="s", precision=3, initial=0.0, change=ALWAYS, group="Triggers",
        doc="When it arrived at the lowest frequency, since 1970",
    )  # fmt: skip
    trigger_snr = attribute(float, precision=1, initial=0.0, change=ALWAYS, group="Triggers", doc="Sigma")
    trigger_dm = attribute(float, unit="pc/cm3", precision=0, initial=0.0, change=ALWAYS, group="Triggers")
    trigger_width = attribute(float, unit="s", precision=2, initial=0.0, change=ALWAYS, group="Triggers")
    trigger_ra = attribute(float, unit="deg", precision=3, initial=0.0, change=ALWAYS, group="Triggers", doc="J2000")
    trigger_dec = attribute(float, unit="deg", precision=3, initial=0.0, change=ALWAYS, group="Triggers", doc="J2000")
    trigger_y = attribute(int, unit="px", initial=0, change=ALWAYS, group="Triggers", doc="Of the image, its pixel")
    trigger_x = attribute(int, unit="px", initial=0, change=ALWAYS, group="Triggers", doc="Of the image, its pixel")
    hooks_told = attribute(int, initial=0, group="Triggers", doc="Runs of hooks that went well")
    hooks_failed = attribute(
        int,
        initial=0,
        warning=(None, 1),
        group="Triggers",
        doc="Runs of hooks that failed, or that there was no time for",
    )

    assembler: Assembler | None = None
    nodes: Nodes
    engine: Engine

    def build(self) -> None:
        super().build()
        given = self.properties
        size, pixels = given.gridsize, given.subimgpix
        self.log_of_candidates = CandidateLog()
        self._margins: deque[float] = deque(maxlen=10)
        self._losses: deque[tuple[float, int]] = deque()
        self.snr_map.configure(datatype=DataType.of(np.float32, (size, size)))
        self.chosen_image.configure(datatype=DataType.of(np.float32, (pixels, pixels)))
        self.chosen_spectrum.configure(datatype=DataType.of(np.float32, (given.nchans, given.nsamps)))
        self.snr_map.publish(np.zeros((size, size), np.float32))
        self.chosen_image.publish(np.zeros((pixels, pixels), np.float32))
        self.chosen_spectrum.publish(np.zeros((given.nchans, given.nsamps), np.float32))

    @property
    def gulp_seconds(self) -> float:
        """Length of a gulp, s."""
        return self.properties.nsamps * self.properties.sample_s

    def show_gulp(self, gulp: Gulp, found: Found) -> None:
        """Publish what the search of a gulp gave, but for its candidates."""
        self.gulp_isot.publish(gulp.isot)
        self.gulp_present.publish(gulp.present)
        self.gulp_missing.publish(gulp.missing)
        self.gulp_complete.publish(found.complete)
        self.gulp_latency.publish(round(time.time() - gulp.ended_unix, 3))
        self.stage_names.publish_change(tuple(found.seconds)[:MOST_STAGES])
        self.stage_seconds.publish(np.array(list(found.seconds.values())[:MOST_STAGES]))
        seconds = found.seconds["total"]
        self.search_seconds.publish(seconds)
        self._margins.append(seconds)
        self.real_time_margin.publish(self.gulp_seconds / max(1e-6, float(np.mean(self._margins))))
        self.snr_map.publish(found.snr, copy=False)
        y, x = np.unravel_index(int(np.argmax(found.snr)), found.snr.shape)
        self.snr_max.publish(float(found.snr[y, x]))
        self.snr_max_y.publish(int(y))
        self.snr_max_x.publish(int(x))
        self.voxels.publish(found.voxels)
        self.voxels_cut.publish(found.cut)
        self.sigma_table.publish(found.sigma)
        self.channel_sigma.publish(found.channel_sigma)

    def show_candidates(self) -> None:
        """Publish the table."""
        known = self.log_of_candidates
        self.candidates.publish(known.to_json())
        self.candidate_count.publish(known.total)
        self.candidate_names.publish(tuple(known.column("name")))
        for live, name in (
            (self.candidate_snr, "snr"),
            (self.candidate_dm, "dm"),
            (self.candidate_width, "width_s"),
            (self.candidate_ra, "ra_deg"),
            (self.candidate_dec, "dec_deg"),
            (self.candidate_rfi, "rfi_probability"),
        ):
            live.publish(known.numbers(name))
        self.candidate_injected.publish(np.array(known.column("injected"), np.bool_))
        lines = [f"{place:3d}  {known.line(place)}" for place in range(min(LISTED, len(known)))]
        self.candidate_list.publish("\n".join(lines))

    def show_trigger(self, found: Candidate) -> None:
        """Publish a candidate as the newest trigger, all with one time stamp; a revision of it is no other one."""
        if found.name == self.trigger_name.value:
            return
        now = time.time()
        readings: tuple[tuple[Any, Any], ...] = (
            (self.trigger_name, found.name),
            (self.trigger_time, (found.mjd - UNIX_EPOCH_MJD) * 86400.0),
            (self.trigger_snr, found.snr),
            (self.trigger_dm, found.dm),
            (self.trigger_width, found.width_s),
            (self.trigger_ra, found.ra_deg),
            (self.trigger_dec, found.dec_deg),
            (self.trigger_y, found.y),
            (self.trigger_x, found.x),
            (self.triggers, self.triggers.value + 1),
        )
        for live, value in readings:
            live.publish(value, timestamp=now)

    def show_chosen(self, place: int) -> None:
        """Publish one candidate's pictures; 0: the newest one."""
        known = self.log_of_candidates
        if place >= len(known):
            self.chosen_line.publish("" if not len(known) else f"there are {len(known)} candidates only")
            self.chosen_image.publish(np.zeros_like(self.chosen_image.value))
            self.chosen_spectrum.publish(np.zeros_like(self.chosen_spectrum.value))
            return
        self.chosen_line.publish(known.line(place))
        self.chosen_image.publish(np.nan_to_num(known[place].cutout.image))
        self.chosen_spectrum.publish(np.nan_to_num(known[place].cutout.spectrum))

    async def poll_counters(self) -> None:
        """Show counters, the queue and the nodes."""
        if self.assembler is None:
            return
        counted, parts = self.engine.counters, self.assembler.counts
        lost = counted.lost + counted.failed
        for live, value in (
            (self.gulps_received, counted.received),
            (self.gulps_searched, counted.searched),
            (self.gulps_incomplete, parts.incomplete),
            (self.gulps_dropped, counted.dropped),
            (self.gulps_lost, lost),
            (self.gulps_ignored, counted.ignored),
            (self.sub_bands_late, parts.late),
            (self.sub_bands_duplicate, parts.duplicate),
            (self.sub_bands_missing, parts.missing),
            (self.sub_bands_refused, parts.no_slot),
            (self.messages, self.nodes.counts.messages),
            (self.messages_refused, self.nodes.counts.refused),
            (self.messages_unknown, self.nodes.counts.unknown),
            (self.queue_depth, self.engine.depth),
            (self.recently_lost, self._recent(counted.dropped + lost + parts.given_up)),
        ):
            live.publish_change(value)
        self.queue_age.publish_change(round(self.engine.waited_s, 1))
        self._show_nodes()

    def _recent(self, lost: int) -> int:
        """How many of ``lost`` were lost in the last minute."""
        now = time.time()
        if not self._losses or self._losses[-1][1] != lost:
            self._losses.append((now, lost))
        before = 0
        while len(self._losses) > 1 and self._losses[1][0] < now - RECENT_S:
            self._losses.popleft()
        if self._losses[0][0] < now - RECENT_S:
            before = self._losses[0][1]
        return lost - before

    def _show_nodes(self) -> None:
        now, nodes = time.time(), list(self.nodes)
        ages = np.array([now - each.last_seen_unix for each in nodes])
        columns: tuple[tuple[Any, list[Any]], ...] = (
            (self.node_rate, [round(each.rate / 1e6, 3) for each in nodes]),
            (self.node_stored, [each.stored for each in nodes]),
            (self.node_late, [each.late for each in nodes]),
            (self.node_duplicate, [each.duplicate for each in nodes]),
            (self.node_refused, [each.refused for each in nodes]),
            (self.node_resent, [each.resent for each in nodes]),
            (self.node_receipt, [int(each.last_receipt) for each in nodes]),
        )
        self.node_age.publish(np.round(ages, 1))
        for live, values in columns:
            live.publish_change(np.array(values))
        self.node_list.publish_change("\n".join(node_line(node, now) for node in nodes))
        self.nodes_silent.publish_change(int(np.count_nonzero(ages > SILENT_GULPS * self.gulp_seconds)))


def node_line(node: Node, now: float) -> str:
    """A node for people; it changes only when the node's seconds do."""
    if math.isnan(node.last_seen_unix):
        return f"sb{node.sub_band:02d}  nothing came"
    words = [
        f"sb{node.sub_band:02d}",
        f"{node.rate / 1e6:6.2f} MB/s",
        f"{max(0.0, now - node.last_seen_unix):5.0f} s ago",
        f"taken {node.stored}",
    ]
    counted = {"late": node.late, "twice": node.duplicate, "refused": node.refused, "again": node.resent}
    words += [f"{name} {count}" for name, count in counted.items() if count]
    return "  ".join([*words, node.address])
