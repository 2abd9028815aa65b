"""From voxels over the threshold to groups: one for each pulse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from devices.pipelines.candidates.group import Group, SamePulse, SideLobes
from devices.pipelines.candidates.local_maxima import local_maxima
from devices.pipelines.search.band import Band
from devices.pipelines.search.result import Voxels
from devices.pipelines.search.trials import Trials

#: Two arrivals that differ by so many samples are as far apart as two pixels that differ by a beam.
ARRIVAL_SCALE: Final = 4.0
#: Points of a cluster that are farther from all its others are in none, in beams, octaves, or `ARRIVAL_SCALE`.
GAP: Final = 2.0


@dataclass(frozen=True)
class GroupSettings:
    """How voxels are grouped.

    Attributes:
        band: of the search.
        beam_px: full width of the beam at half maximum, pixels.
        cluster: by HDBSCAN; otherwise every local maximum is a group, if it is no side lobe.
        least_cluster: local maxima that make a cluster; those that are in none are groups of their own.
        most_maxima: at most so many local maxima are clustered, the strongest.
        most_groups: at most so many groups are reported, the strongest.
        side_lobes: as in `devices.pipelines.candidates.group.SideLobes`.
    Raises:
        ValueError: a number out of its bounds.
    """

    band: Band = field(default_factory=Band.dsa110)
    beam_px: float = 3.0
    cluster: bool = True
    least_cluster: int = 2
    most_maxima: int = 10_000
    most_groups: int = 100
    side_lobes: SideLobes = field(default_factory=lambda: SideLobes(None, 16))

    def __post_init__(self) -> None:
        for name, least in (("beam_px", 0.5), ("least_cluster", 2), ("most_maxima", 1), ("most_groups", 1)):
            value = getattr(self, name)
            if not value >= least:
                raise ValueError(f"{name} = {value}: at least {least}")

    @property
    def same_pulse(self) -> SamePulse:
        return SamePulse(self.beam_px, self.side_lobes)


def find_groups(voxels: Voxels, trials: Trials, settings: GroupSettings) -> list[Group]:
    """The groups of a gulp, falling significance.

    Voxels are reduced to local maxima, these are clustered, a cluster is represented by its strongest voxel, and
    groups that lie in the beam or in a side lobe of a stronger one of the same time join it. None is lost: a single
    voxel is a group.
    """
    if not len(voxels):
        return []
    leads = np.stack([settings.band.lead_samples(dm) for dm in trials.dms])
    widths = np.asarray(trials.widths, np.float64)[voxels.width]
    middles = voxels.sample + 0.5 * (widths - leads.max(axis=1)[voxels.dm])
    maximum_of = local_maxima(voxels, middles, widths)
    maxima, members = np.unique(maximum_of, return_counts=True)
    # In order of significance, as voxels are.
    maxima, members = maxima[: settings.most_maxima], members[: settings.most_maxima]
    features = np.stack(
        [
            voxels.y[maxima] / settings.beam_px,
            voxels.x[maxima] / settings.beam_px,
            np.log2(widths[maxima]),
            np.log2(1.0 + leads.max(axis=1)[voxels.dm[maxima]]),
            middles[maxima] / ARRIVAL_SCALE,
        ],
        axis=1,
    )
    labels = _clusters(features, settings.least_cluster) if settings.cluster else np.arange(len(maxima))
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    groups = [_group(voxels, trials, leads, maxima[part], int(members[part].sum())) for part in parts]
    return _joined(groups, settings.same_pulse, settings.most_groups)


def _clusters(features: NDArray[np.float64], least: int) -> NDArray[np.int64]:
    """A label for each point; points in no cluster have labels of their own."""
    alone = np.arange(len(features)) + len(features) ** 2
    if len(features) <= least:
        return alone
    # Costs two seconds, and is not needed before the first candidates.
    from hdbscan import HDBSCAN

    clustering = HDBSCAN(
        min_cluster_size=least,
        min_samples=1,
        allow_single_cluster=True,
        # Nothing nearer than a beam, an octave of width or of dispersion, or four samples is divided.
        cluster_selection_epsilon=1.0,
        core_dist_n_jobs=1,
    )
    labels = np.asarray(clustering.fit_predict(features), np.int64)
    # With few points HDBSCAN adds a far one to a cluster: what a gap parts is not one.
    near = cKDTree(features).sparse_distance_matrix(cKDTree(features), GAP, output_type="coo_matrix")
    parts = connected_components(near, directed=False)[1].astype(np.int64)
    return np.where(labels < 0, alone, labels * len(features) + parts)


def _group(
    voxels: Voxels, trials: Trials, leads: NDArray[np.float64], maxima: NDArray[np.int64], members: int
) -> Group:
    peak = int(maxima[0])
    y, x, dm, width = (int(axis[peak]) for axis in (voxels.y, voxels.x, voxels.dm, voxels.width))
    sample = int(voxels.sample[peak])
    return Group(
        y=y,
        x=x,
        dm_index=dm,
        width_index=width,
        sample=sample,
        snr=float(voxels.snr[peak]),
        dm=trials.dms[dm],
        width=trials.widths[width],
        begins=tuple((sample - leads[dm]).tolist()),
        members=members,
        reach_px=float(np.hypot(voxels.y[maxima] - y, voxels.x[maxima] - x).max()),
    )


def _joined(groups: list[Group], same_pulse: SamePulse, most: int) -> list[Group]:
    """Weaker groups join the strongest one that they show; at most so many are left, the strongest."""
    left = sorted(groups, key=lambda group: -group.snr)
    kept: list[Group] = []
    while left and len(kept) < most:
        strong, *left = left
        same = same_pulse(strong, left)
        members = strong.members + sum(group.members for group, joins in zip(left, same, strict=True) if joins)
        kept.append(replace(strong, members=members))
        left = [group for group, joins in zip(left, same, strict=True) if not joins]
    return kept
