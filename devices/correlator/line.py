"""One kind of search with what belongs to it: from a cube to groups of voxels, and to cut-outs of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from devices.correlator.plan import Plan
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.candidates.cut_out import beam_reach, cut_out, dynamic_spectrum
from devices.pipelines.candidates.find import GroupSettings, find_groups
from devices.pipelines.candidates.group import Group, SideLobes
from devices.pipelines.search.band import Band
from devices.pipelines.search.drift import Shift
from devices.pipelines.search.image_difference import ImageDifference
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.result import SearchResult
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.slow import BIN, SlowSearch
from devices.pipelines.search.strip import StripWorkers
from devices.pipelines.search.trials import Trials

BASE: Final = "base"
SLOW: Final = "slow"
IMAGE_DIFFERENCE: Final = "image_difference"
#: A Gaussian beam is cut where it is below 1e-9, beams.
BEAM_REACH: Final = 3


@dataclass(frozen=True)
class Optics:
    """What a point source looks like.

    Attributes:
        psf: 1 at the source, which is at ``size // 2``; axes (channel, y, x).
        beam_px: full width at half maximum, pixels.
    """

    psf: NDArray[np.float32]
    beam_px: float

    @classmethod
    def of(cls, given: CorrelatorProperties, band: Band) -> Optics:
        """As the property ``psf`` says.

        Raises:
            OSError: the file cannot be read. ValueError: it is no point spread function of this band.
        """
        channels = len(band.frequencies_mhz)
        if given.psf.startswith("gaussian:"):
            fwhm_px = float(given.psf.partition(":")[2])
            size = min(2 * int(np.ceil(BEAM_REACH * fwhm_px)) + 1, 2 * given.gridsize + 1)
            return cls(gaussian_psf(band, size, fwhm_px), fwhm_px)
        psf = np.load(given.psf, allow_pickle=False)
        if psf.ndim == 2:
            psf = np.broadcast_to(psf, (channels, *psf.shape))
        if psf.ndim != 3 or len(psf) != channels or not np.isfinite(psf).all():
            raise ValueError(f"{given.psf}: shape {psf.shape}, not ({channels}, y, x) of finite numbers")
        at_source = psf[:, psf.shape[1] // 2, psf.shape[2] // 2]
        if (at_source <= 0.0).any():
            raise ValueError(f"{given.psf}: the source is at size // 2, and above 0 there")
        psf = (psf / at_source[:, np.newaxis, np.newaxis]).astype(np.float32)
        # The main lobe's area in its middle channel, as that of a Gaussian.
        above = np.count_nonzero(psf[channels // 2] >= 0.5)
        return cls(psf, max(1.0, 2.0 * float(np.sqrt(above / np.pi))))

    def gain(self, y: int, x: int, given: CorrelatorProperties) -> NDArray[np.float64]:
        """Value of a source of height 1 at its pixel after the spatial filter, whose noise is that before it.

        Returns:
            Axis: channel. 1 without the filter; at the border what is outside of the image gains nothing.
        """
        if not given.spacefilter:
            return np.ones(len(self.psf))
        height, width = self.psf.shape[1:]
        rows = slice(max(0, height // 2 - y), height // 2 - y + given.gridsize)
        columns = slice(max(0, width // 2 - x), width // 2 - x + given.gridsize)
        inside = self.psf[:, rows, columns].astype(np.float64)
        return np.asarray(np.sqrt(np.sum(inside**2, axis=(1, 2))), np.float64)


def search_settings(given: CorrelatorProperties, plan: Plan) -> SearchSettings:
    """What the search makes of properties."""
    return SearchSettings(
        threshold=plan.threshold,
        most_voxels=given.most_voxels,
        spatial_filter=given.spacefilter,
        use_fft=given.usefft,
        psf_energy=given.psf_energy,
        append_frame=given.appendframe,
        rows=given.nrows if given.multithreading else 1,
        columns=given.ncols if given.multithreading else given.threads,
        threads=given.threads,
        same_noise=given.samenoise,
        dm_batches=given.dm_batches,
    )


class Kind(Protocol):
    """What a kind of search is made of, as `SlowSearch` has it.

    Attributes:
        band, trials: of what is searched, in its own samples. search: what has its noise, and its newest samples.
    """

    band: Band
    trials: Trials
    search: Search

    def __call__(
        self, cube: NDArray[np.float32], present: NDArray[np.bool_], shift_px: Shift, follows: bool
    ) -> SearchResult | None: ...


class BaseSearch:
    """The search of gulps as they are."""

    def __init__(self, search: Search) -> None:
        self.search, self.band, self.trials = search, search.band, search.trials

    def __call__(
        self, cube: NDArray[np.float32], present: NDArray[np.bool_], shift_px: Shift, follows: bool
    ) -> SearchResult:
        return self.search(cube, present, shift_px, follows)


@dataclass(frozen=True)
class Pictures:
    """What is cut out of a group.

    Attributes:
        cutout: de-dispersed and centred; axes (channel, sample, y, x).
        sweep: dynamic spectrum as it came, look-back and gulp; axes (channel, sample).
        look_back: samples of ``sweep`` before the gulp's first.
    """

    cutout: NDArray[np.float32]
    sweep: NDArray[np.float32]
    look_back: int


class Line:
    """Searches one gulp after the other.

    Attributes:
        kind: as candidates name it.
        samples: of what is searched at once, in its own bins.
        before_s: how long before the newest gulp its first sample began, s.
    """

    def __init__(
        self,
        kind: str,
        search: Kind,
        samples: int,
        given: CorrelatorProperties,
        optics: Optics,
        before_s: float = 0.0,
    ) -> None:
        self.kind, self.samples, self.before_s = kind, samples, before_s
        self.band, self.trials = search.band, search.trials
        self._search, self._given, self._optics = search, given, optics
        self._groups = GroupSettings(
            band=self.band,
            beam_px=optics.beam_px,
            cluster=given.cluster,
            least_cluster=given.mincluster,
            most_groups=given.maxcands,
            side_lobes=SideLobes(optics.psf, given.nchans, given.spacefilter),
        )

    def __call__(
        self, cube: NDArray[np.float32], present: NDArray[np.bool_], shift_px: Shift, follows: bool
    ) -> SearchResult | None:
        """Search a gulp; None: more gulps are needed."""
        return self._search(cube, present, shift_px, follows)

    def adopt(self, plan: Plan) -> None:
        """Another threshold; other trials need another line."""
        self._search.search.set_threshold(plan.threshold)

    def reset_noise(self) -> None:
        self._search.search.reset_noise()

    def groups_of(self, result: SearchResult) -> list[Group]:
        """Falling significance."""
        return find_groups(result.voxels, self.trials, self._groups)

    def pictures(self, groups: list[Group]) -> list[Pictures]:
        """Of what was searched last."""
        return [self._cut(group) for group in groups]

    def close(self) -> None:
        self._search.search.close()

    def _cut(self, group: Group) -> Pictures:
        size, beam_px = self._given.subimgpix, self._optics.beam_px
        recent, y, x = self._search.search.recent_about(group.y, group.x, max(size // 2, beam_reach(beam_px)))
        look_back = recent.shape[1] - self.samples
        lead = self.band.lead_samples(group.dm)
        cutout = cut_out(recent, look_back, y, x, lead, group.sample, group.width, size)
        return Pictures(cutout, dynamic_spectrum(recent, y, x, beam_px), look_back)


def lines_of(
    given: CorrelatorProperties, band: Band, plan: Plan, optics: Optics, workers: StripWorkers | None = None
) -> list[Line]:
    """The kinds of search that properties ask for; the base first, which alone has enough to do for ``workers``."""
    settings, place = search_settings(given, plan), given.place
    base = BaseSearch(Search(band, plan.trials, settings, optics.psf, place, workers))
    lines = [Line(BASE, base, given.nsamps, given, optics)]
    if given.slow:
        slow = SlowSearch(band, plan.trials, settings, optics.psf, place)
        lines.append(Line(SLOW, slow, given.nsamps // BIN, given, optics))
    if given.imgdiff:
        difference = ImageDifference(band, given.nsamps, settings, optics.psf, place, baseline_gulps=given.imgdiffgulps)
        before_s = (difference.gulps - 1) * given.nsamps * band.sample_s
        lines.append(Line(IMAGE_DIFFERENCE, difference, 1, given, optics, before_s))
    return lines
