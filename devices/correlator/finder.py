"""From gulps to candidates: searches, groups, cut-outs, the classifier, files; no process and no memory of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.correlator.clock import Clock
from devices.correlator.dask_strips import DaskStrips
from devices.correlator.drift import Drift
from devices.correlator.gulp import Gulp
from devices.correlator.injection import Pulse, add_pulse, response
from devices.correlator.job import Cutout, Found, Injected, Job
from devices.correlator.line import BASE, Line, Optics, Pictures, lines_of
from devices.correlator.plan import Plan
from devices.correlator.properties import CorrelatorProperties
from devices.correlator.writing import Writing
from devices.drivers.candidate_files import PRODUCTS, Retention, write_candidate
from devices.drivers.candidate_names import CandidateNames
from devices.drivers.candidate_record import CandidateContext
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.candidates.classify import SHIPPED, Network, classify, load_network
from devices.pipelines.candidates.cut_out import dynamic_spectrum
from devices.pipelines.candidates.deduplicator import Deduplicator, Sighting
from devices.pipelines.candidates.group import Group, SamePulse, SideLobes, overlap
from devices.pipelines.search.result import SearchResult
from devices.pipelines.search.weights import Weights

#: Products of a candidate when there is no time for its picture.
WITHOUT_PICTURE: Final = tuple(product for product in PRODUCTS if product != "png")
#: A pulse is remembered for so many gulps, to be known again.
MEMORY_GULPS: Final = 9.0
KEPT_AMPLITUDES: Final = 32
#: Where cubes, and maps of all gulps, are saved, in the results folder.
GULPS: Final = "gulps"
MAPS: Final = "maps"
#: A pulse is where it was injected when it is nearer than this, beams; and begins nearer than this, samples.
NEAR_BEAMS: Final = 1.5
NEAR_SAMPLES: Final = 1.0
SECONDS_PER_DAY: Final = 86400.0


@dataclass(frozen=True)
class _Report:
    """A candidate with what is made of it."""

    candidate: Candidate
    line: Line
    cut: Pictures
    shown: Cutout


class Finder:
    """Searches one gulp after the other, and writes what it finds.

    Args:
        given: its properties.
        strips: the workers of a scheduler, which it closes; None: all is done here.
    Raises:
        OSError: a file of the point spread function, or of weights, cannot be read. ValueError: it is none.
    """

    def __init__(self, given: CorrelatorProperties, strips: DaskStrips | None = None) -> None:
        self._strips = strips
        self._given, self._band = given, given.band
        self._optics = Optics.of(given, self._band)
        self._network: Network | None = None
        if given.classify and (given.model_weights or SHIPPED.exists()):
            self._network = load_network(given.model_weights or SHIPPED)
        self._folder = Path(given.results) if given.results else None
        self._names = _Names() if self._folder is None else CandidateNames(self._folder)
        self._retention = Retention(given.most_candidates, int(given.most_gigabytes * 1e9))
        self._writing = Writing()
        self._isot = ""
        lobes = SideLobes(self._optics.psf, given.nchans, given.spacefilter)
        self._deduplicator = Deduplicator(
            SamePulse(self._optics.beam_px, lobes),
            lambda: self._names.next(self._isot),
            MEMORY_GULPS * given.nsamps * given.sample_s,
        )
        self._plan: Plan | None = None
        self._lines: list[Line] = []
        self._drift = Drift(given.gridsize, given.nocutoff)
        self._amplitudes: dict[str, float] = {}
        self._excess = np.ones((1, 1))
        self._channel_sigma = np.full(given.nchans, np.nan)

    def __call__(self, cube: NDArray[np.float32], job: Job) -> Found:
        """Search a gulp.

        Args:
            cube: axes (channel, sample, y, x); injected pulses are added to it.
            job: what to do with it; its gulp's own cube is not looked at.
        """
        clock = Clock()
        gulp = job.gulp
        self._isot = gulp.isot
        self._adopt(job)
        for pulse, passed in job.pulses:
            self._inject(cube, pulse, passed, gulp.present)
        saved = self._save(cube, gulp) if job.save_cube else ""
        shift_px = self._drift.since(gulp)
        clock.ended("prepare")
        reports, injected = [], []
        for line in self._lines:
            result = line(cube, gulp.present, shift_px, job.follows)
            if result is None:
                continue
            if line.kind == BASE:
                base = result
                self._learn(result)
                clock.ended(line.kind, result.seconds)
            else:
                clock.ended(line.kind.replace("_", " "))
            reports += self._report(line, result, job, clock)
        candidates = tuple(report.candidate for report in reports)
        injected = [self._recovered(pulse, base, candidates) for pulse, _ in job.pulses]
        self._write(reports, job, base)
        clock.ended("write")
        return Found(
            number=gulp.number,
            isot=gulp.isot,
            candidates=candidates,
            cutouts=tuple(report.shown for report in reports),
            snr=base.snr,
            sigma=base.sigma,
            channel_sigma=base.channel_sigma,
            voxels=len(base.voxels),
            cut=base.voxels.cut,
            complete=base.complete,
            injected=tuple(injected),
            saved=saved,
            problem=self._writing.problem,
            scheduler_problem="" if self._strips is None else self._strips.problem,
            seconds=clock.seconds(),
        )

    def close(self) -> None:
        """End the threads; what is to be written is written first."""
        self._writing.close()
        self._close_lines()
        if self._strips is not None:
            self._strips.close()

    def _close_lines(self) -> None:
        for line in self._lines:
            line.close()

    def _adopt(self, job: Job) -> None:
        """Search as the job's plan says; other trials begin anew."""
        before, self._plan = self._plan, job.plan
        if before is None or before.trials != job.plan.trials:
            self._close_lines()
            self._lines = lines_of(self._given, self._band, job.plan, self._optics, self._strips)
            self._excess = np.ones((1, 1))
        for line in self._lines:
            line.adopt(job.plan)
            if job.reset_noise:
                line.reset_noise()

    # Injection ----------------------------------------------------------------------------------------------------

    def _inject(self, cube: NDArray[np.float32], pulse: Pulse, passed: int, present: NDArray[np.bool_]) -> None:
        amplitude = self._amplitudes.get(pulse.identity)
        if amplitude is None:
            amplitude = self._amplitudes[pulse.identity] = self._amplitude(pulse, present)
            while len(self._amplitudes) > KEPT_AMPLITUDES:
                del self._amplitudes[next(iter(self._amplitudes))]
        add_pulse(cube, pulse.signal(self._band, passed, cube.shape[1]), self._optics.psf, pulse.y, pulse.x, amplitude)

    def _amplitude(self, pulse: Pulse, present: NDArray[np.bool_]) -> float:
        """Of its brightest pixel, so that its significance is what was asked for, with the sub-bands that came."""
        assert self._plan is not None
        alive = present & np.isfinite(self._channel_sigma)
        gain = np.where(alive, self._optics.gain(pulse.y, pulse.x, self._given), 0.0)
        variance = Weights.of(self._band, self._plan.trials).variance(np.where(alive, self._channel_sigma**2, 0.0))
        found = response(pulse, self._band, self._plan.trials, np.sqrt(variance * self._excess), gain)
        if found <= 0.0:
            raise BadValueError("a pulse cannot be injected: the noise of the sub-bands is not known")
        return pulse.snr / found

    def _learn(self, result: SearchResult) -> None:
        """Note the noise for pulses to come: that of channels, and what the constant sky adds to that of trials."""
        alive = np.isfinite(result.channel_sigma)
        if self._plan is None or not alive.any():
            return
        white = Weights.of(self._band, self._plan.trials).variance(np.where(alive, result.channel_sigma**2, 0.0))
        self._excess = result.sigma**2 / white
        self._channel_sigma = np.where(alive, result.channel_sigma, self._channel_sigma)

    def _recovered(self, pulse: Pulse, result: SearchResult, candidates: Sequence[Candidate]) -> Injected:
        reach = 1
        rows = slice(max(0, pulse.y - reach), pulse.y + reach + 1)
        columns = slice(max(0, pulse.x - reach), pulse.x + reach + 1)
        name = next((each.name for each in candidates if each.injected and self._is_near(pulse, each.y, each.x)), "")
        recovered = float(np.max(result.snr[rows, columns]))
        return Injected(pulse.identity, self._amplitudes[pulse.identity], recovered, name)

    def _is_near(self, pulse: Pulse, y: int, x: int) -> bool:
        return math.hypot(pulse.y - y, pulse.x - x) <= NEAR_BEAMS * self._optics.beam_px

    def _is_injected(self, line: Line, group: Group, job: Job) -> bool:
        """Whether a group lies where a pulse was injected, and shares a time with it in any channel."""
        bin_samples = line.band.sample_s / self._band.sample_s
        begins = np.asarray(group.begins) * bin_samples - line.before_s / self._band.sample_s
        return any(
            self._is_near(pulse, group.y, group.x)
            and overlap(
                begins,
                group.width * bin_samples,
                pulse.start - passed - self._band.lead_samples(pulse.dm),
                pulse.width,
                NEAR_SAMPLES,
            )
            for pulse, passed in job.pulses
        )

    # Candidates ---------------------------------------------------------------------------------------------------

    def _report(self, line: Line, result: SearchResult, job: Job, clock: Clock) -> list[_Report]:
        gulp = job.gulp
        groups = line.groups_of(result)
        mjd = gulp.mjd - line.before_s / SECONDS_PER_DAY
        sightings = self._deduplicator(groups, mjd, line.band.sample_s, self._drift.sky_px)
        clock.ended("cluster")
        pictures = line.pictures([sighting.group for sighting in sightings])
        clock.ended("cut out")
        probabilities = self._classified(pictures, sightings)
        clock.ended("classify")
        return [
            self._one(line, gulp, sighting, cut, probability, self._is_injected(line, sighting.group, job))
            for sighting, cut, probability in zip(sightings, pictures, probabilities, strict=True)
        ]

    def _classified(self, pictures: list[Pictures], sightings: list[Sighting]) -> list[float]:
        if self._network is None or not pictures:
            return [math.nan] * len(pictures)
        widths = np.array([sighting.group.width for sighting in sightings])
        return [float(each) for each in classify(np.stack([cut.cutout for cut in pictures]), self._network, widths)]

    def _one(
        self,
        line: Line,
        gulp: Gulp,
        sighting: Sighting,
        cut: Pictures,
        probability: float,
        injected: bool,
    ) -> _Report:
        group, cutout, sample_s = sighting.group, cut.cutout, line.band.sample_s
        mjd = gulp.mjd + (group.sample * sample_s - line.before_s) / SECONDS_PER_DAY
        ra_deg, dec_deg = self._drift.sky_of(gulp, group.y, group.x)
        candidate = Candidate(
            name=sighting.name,
            isot=gulp.isot,
            mjd=mjd,
            y=group.y,
            x=group.x,
            dm_index=group.dm_index,
            width_index=group.width_index,
            sample=group.sample,
            snr=group.snr,
            dm=group.dm,
            width_s=group.width * sample_s,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            members=group.members,
            rfi_probability=probability,
            injected=injected,
            complete=group.complete(line.samples),
            revision=sighting.revision,
            kind=line.kind,
        )
        middle, samples = cutout.shape[2] // 2, cutout.shape[1]
        first = max(0, -((group.width - samples) // 2))  # as `cut_out` puts it in the middle
        image = cutout[:, first : first + group.width].mean(axis=(0, 1))
        spectrum = dynamic_spectrum(cutout, middle, middle, self._optics.beam_px)
        return _Report(candidate, line, cut, Cutout(image, spectrum))

    # Files --------------------------------------------------------------------------------------------------------

    def _save(self, cube: NDArray[np.float32], gulp: Gulp) -> str:
        """Write a cube to the results folder; the path, "" without such a folder."""
        if self._folder is None:
            return ""
        folder = self._folder / GULPS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_file_name(gulp)}.npy"
        np.save(path, cube)
        return str(path)

    def _write(self, reports: list[_Report], job: Job, base: SearchResult) -> None:
        """Write what is to be kept of a gulp."""
        if self._folder is None:
            return
        for report in reports:
            products = PRODUCTS if self._writing.has_time else WITHOUT_PICTURE
            context = self._context(report, job, base)
            self._writing.put(partial(self._write_one, self._folder, report, context, products))
        if reports:
            self._writing.put(partial(self._retire, self._folder))
        given = self._given
        maps: dict[str, NDArray[Any]] = {}
        if given.savesearch:
            maps |= {"snr": base.snr, "dm": base.best_dm, "width": base.best_width, "sample": base.best_sample}
        if given.exportmaps:
            maps |= {"sigma": base.sigma, "channel_sigma": base.channel_sigma}
        if maps:
            folder = self._folder / MAPS
            folder.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(folder / f"{_file_name(job.gulp)}.npz", allow_pickle=False, **maps)

    @staticmethod
    def _write_one(folder: Path, report: _Report, context: CandidateContext, products: tuple[str, ...]) -> None:
        write_candidate(folder, report.candidate, report.cut.cutout, report.cut.sweep, context, products)

    def _retire(self, folder: Path) -> None:
        self._retention.apply(folder)

    def _context(self, report: _Report, job: Job, base: SearchResult) -> CandidateContext:
        candidate, line, gulp = report.candidate, report.line, job.gulp
        noise = base.sigma[candidate.dm_index, candidate.width_index] if line.kind == BASE else math.nan
        return CandidateContext(
            band=line.band,
            trials=line.trials,
            threshold=job.plan.threshold,
            gulp_number=gulp.number,
            gulp_mjd=gulp.mjd,
            size=self._given.gridsize,
            present=tuple(bool(each) for each in base.present),
            look_back=report.cut.look_back,
            uv_diag_m=gulp.uv_diag_m,
            dec_deg=gulp.dec_deg,
            noise=float(noise),
            spatial_filter=self._given.spacefilter,
        )


class _Names:
    """Names of candidates that are not written: the day as yymmdd and four letters."""

    def __init__(self) -> None:
        self._count = 0

    def next(self, isot: str) -> str:
        letters = "".join(chr(ord("a") + self._count // 26**place % 26) for place in (3, 2, 1, 0))
        self._count += 1
        return isot[2:4] + isot[5:7] + isot[8:10] + letters


def _file_name(gulp: Gulp) -> str:
    return gulp.isot.replace(":", "")
