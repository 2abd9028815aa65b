"""The correlator image server: gulps of sub-band images are assembled, searched for transients, and reported."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core import Argument, DeviceState, Operation, attribute, command, operation
from devices.core.errors import (
    BadValueError,
    ConfigurationError,
    NotAllowedError,
    RangeError,
)
from devices.correlator.assembler import Assembler
from devices.correlator.candidate_log import KEPT
from devices.correlator.desk import make_worker
from devices.correlator.engine import Engine
from devices.correlator.gulp import Gulp, GulpShape
from devices.correlator.hooks import Hooks, hooks_of
from devices.correlator.injection import Pulse
from devices.correlator.injections import Injections
from devices.correlator.job import Found, Job
from devices.correlator.nodes import Nodes
from devices.correlator.plan import Plan, Setup
from devices.correlator.readings import MOST_DMS, MOST_WIDTHS, CorrelatorReadings
from devices.correlator.slots import CubeSlots
from devices.correlator.worker_process import Tell, WorkerProcess
from devices.drivers.allowed_folders import AllowedFolders
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.search.trials import Trials

SHOW_PERIOD: Final = 1.0
LONGEST_DRAIN_S: Final = 60.0
INJECTION_GULPS: Final = 12
LONGEST_FILE_S: Final = 600.0
LONGEST_TRAINING_S: Final = 24 * 3600.0
PROGRESS_PERIOD_S: Final = 0.2


class CorrelatorServer(CorrelatorReadings):
    """A correlator image server: takes the sub-band images of all nodes, searches each gulp for dispersed pulses, and
    shows and writes what it finds.

    Nodes send to its ingest service. Every gulp goes through one process that searches it; when that falls behind, the
    oldest gulps that wait are dropped, and counted.
    """

    threshold = attribute(
        float, access="read_write", limits=(1.0, 1e6), precision=2, memorized="apply", group="Search",
        doc="Of candidates, sigma; holds from the next gulp on",
    )  # fmt: skip
    dm_trials = attribute(
        float, shape=(MOST_DMS,), access="read_write", unit="pc/cm3", memorized="apply", group="Search",
        doc="Dispersion measures that are tried, rising; hold from the next gulp on",
    )  # fmt: skip
    width_trials = attribute(
        int, shape=(MOST_WIDTHS,), access="read_write", memorized="apply", group="Search",
        doc="Widths that are tried, samples, rising; hold from the next gulp on",
    )  # fmt: skip
    chosen = attribute(
        int, access="read_write", initial=0, limits=(0, KEPT - 1), group="Candidates",
        doc="Which candidate is shown; 0: the newest",
    )  # fmt: skip
    searching = attribute(bool, initial=True, group="Engine", doc="Whether gulps are searched")

    def build(self) -> None:
        super().build()
        given = self.properties
        problems = []
        try:
            band = given.band
            trials = given.trials()
        except ValueError as error:
            raise ConfigurationError(self.name, [str(error)]) from error
        if len(trials.dms) > MOST_DMS or len(trials.widths) > MOST_WIDTHS:
            problems.append(f"{len(trials.dms)} DMs and {len(trials.widths)} widths: at most {MOST_DMS}, {MOST_WIDTHS}")
        if given.multithreading and max(given.nrows, given.ncols) > given.gridsize:
            problems.append(f"{given.nrows} x {given.ncols} parts of {given.gridsize} pixels")
        if given.scheduler and given.place != "cpu":
            problems.append(f"scheduler = {given.scheduler}: its workers search on processors, compute = {given.place}")
        if problems:
            raise ConfigurationError(self.name, problems)
        self._band = band
        self._publish_plan(Plan(given.snr_thresh, trials))
        self._shape = GulpShape(given.nchans, given.nsamps, given.gridsize)
        self.memory_bound.publish(self._shape.nbytes * given.max_processes / 1e6)
        self.compute.publish(given.place)
        self.nodes = Nodes(given.nchans)
        self.injected = Injections(given.nsamps, given.sample_s)
        self._slots: CubeSlots | None = None
        self._save_next = self._reset_noise = False
        self._last_gulp_at = 0.0
        self.add_poll(self.poll_counters, SHOW_PERIOD, "showing counters")
        self.add_poll(self.poll_state, SHOW_PERIOD, "looking after the search")

    async def connect(self) -> None:
        given = self.properties
        self._slots = CubeSlots(self._shape, given.max_processes)
        self.engine = Engine(
            self._slots,
            WorkerProcess(make_worker, Setup(given, self._shape, self._slots.name), name=f"search of {self.name}"),
            self,
            limit_s=given.search_timeout,
            length_s=self.gulp_seconds,
            sample_s=given.sample_s,
        )
        self.hooks = Hooks(hooks_of(given.hooks), given.hook_seconds)
        self.assembler = Assembler(self._shape, self._slots, given.assembly, self._deliver, self.engine.make_room)
        self.engine.start()
        self.hooks.start()
        self.queue_capacity.publish(self.engine.capacity)

    async def disconnect(self) -> None:
        assembler, self.assembler = self.assembler, None
        if assembler is None or self._slots is None:
            return
        assembler.close()
        await self.engine.stop()
        await self.hooks.stop()
        self._slots.close()

    # Settings -----------------------------------------------------------------------------------------------------

    @threshold.write
    async def write_threshold(self, sigma: float) -> None:
        self._publish_plan(Plan(sigma, self._plan.trials))

    @dm_trials.write
    async def write_dm_trials(self, dms: NDArray[np.float64]) -> None:
        self._publish_plan(Plan(self._plan.threshold, _trials(dms, self._plan.trials.widths)))

    @width_trials.write
    async def write_width_trials(self, widths: NDArray[np.int64]) -> None:
        self._publish_plan(Plan(self._plan.threshold, _trials(self._plan.trials.dms, widths)))

    @chosen.write
    async def write_chosen(self, place: int) -> None:
        self.chosen.publish(place)
        self.show_chosen(place)

    def _publish_plan(self, plan: Plan) -> None:
        self._plan = plan
        self.threshold.publish(plan.threshold)
        self.threshold.publish_setpoint(plan.threshold)
        self.dm_trials.publish(np.array(plan.trials.dms))
        self.dm_trials.publish_setpoint(np.array(plan.trials.dms))
        self.width_trials.publish(np.array(plan.trials.widths))
        self.width_trials.publish_setpoint(np.array(plan.trials.widths))

    # Commands -----------------------------------------------------------------------------------------------------

    @command(group="Engine")
    async def begin(self) -> None:
        """Search the gulps that come."""
        self.engine.is_halted = False
        self.searching.publish(True)
        await self.poll_state()

    @operation(group="Engine")
    async def halt(self, run: Operation, drain: bool = True) -> dict[str, Any]:
        """Search no more gulps; with ``drain`` those that wait are searched first. Nodes may go on sending."""
        self.engine.is_halted = True
        self.searching.publish(False)
        before = self.engine.counters.searched
        if not drain:
            self.engine.clear()
        run.report(0.0, f"{self.engine.depth} gulps are left")
        await asyncio.wait_for(self.engine.drained(), LONGEST_DRAIN_S)
        await self.poll_state()
        return {"searched": self.engine.counters.searched - before}

    @command(group="Engine")
    async def save_next_gulp(self) -> None:
        """Write the cube of the next gulp to the results folder, a NumPy file, axes (channel, sample, y, x)."""
        if not self.properties.results:
            raise NotAllowedError("there is no results folder: the property results is empty")
        self._save_next = True

    @command(group="Candidates")
    async def clear(self) -> None:
        """Empty the table of candidates; files stay."""
        self.log_of_candidates.clear()
        self.show_candidates()
        self.show_chosen(0)

    @command(group="Search")
    async def reset_noise(self) -> None:
        """Forget the noise and the constant sky of earlier gulps, with the next gulp."""
        self._reset_noise = True

    # Operations ---------------------------------------------------------------------------------------------------

    @operation(group="Injection")
    async def inject(
        self,
        run: Operation,
        snr: Annotated[float, Argument(unit="sigma", limits=(1.0, 10_000.0), doc="That the search should find")] = 20.0,
        dm: Annotated[float, Argument(unit="pc/cm3", limits=(0.0, 1e4))] = 500.0,
        width: Annotated[float, Argument(limits=(0.1, 256.0), doc="Samples")] = 2.0,
        y: Annotated[int, Argument(unit="px", doc="-1: the middle")] = -1,
        x: Annotated[int, Argument(unit="px", doc="-1: the middle")] = -1,
    ) -> dict[str, Any]:
        """Add a synthetic pulse to the gulps that come, and tell what the search made of it.

        Its candidate is marked as injected wherever it stands, and triggers nothing unless hook_injections says so.
        """
        size = self.properties.gridsize
        place = [size // 2 if each < 0 else each for each in (y, x)]
        for name, pixel in zip(("y", "x"), place, strict=True):
            if pixel >= size:
                raise RangeError(f"{name} = {pixel} px is outside [0, {size - 1}] px")
        if not self.engine.counters.searched:
            raise NotAllowedError("no gulp has been searched yet: the noise is not known")
        pulse = Pulse.whole(self._band, secrets.token_hex(4), place[0], place[1], dm, width, snr)
        gulps = int(np.ceil(pulse.end / self.properties.nsamps)) + 1
        if gulps > INJECTION_GULPS:
            raise RangeError(
                f"dm = {dm:g} pc/cm3, width = {width:g}: the pulse lasts {gulps} gulps, {INJECTION_GULPS} at most"
            )
        injection = self.injected.begin(pulse)
        self.injection_expected.publish(snr)
        deadline = time.monotonic() + (gulps + 4) * max(self.gulp_seconds, self.search_seconds.value) + 20.0
        run.report(0.0, "waiting for a gulp")
        while injection.state in ("WAITING", "RUNNING"):
            if time.monotonic() > deadline:
                injection.state = "LOST"
            await asyncio.sleep(PROGRESS_PERIOD_S)
            run.report(min(99.0, 100.0 * injection.passed / (pulse.end + 1.0)), injection.state.lower())
        self.injections.publish(self.injected.to_json())
        if injection.state == "LOST":
            raise BadValueError("a gulp with a part of the pulse was not searched, or none came")
        return injection.to_dict()

    @operation(when_busy="queue", group="Search")
    async def search_file(
        self, run: Operation, path: Annotated[str, Argument(doc="Absolute, or relative to the results folder")]
    ) -> dict[str, Any]:
        """Search a cube in a file: .npy, .npz or FITS with the axes (channel, sample, y, x).

        A process of its own does it, with the present threshold and trials; the live search goes on.
        """
        folders = [self.properties.results or "/nonexistent", *self.properties.allowed_folders]
        real = AllowedFolders([Path(folder) for folder in folders]).resolve(path)
        run.report(10.0, f"searching {real.name}")
        answer: dict[str, Any] = await self._apart(("search", str(real), self._plan), LONGEST_FILE_S)
        return answer

    @operation(when_busy="queue", level="expert", group="Search")
    async def train(
        self,
        run: Operation,
        steps: Annotated[int, Argument(limits=(1, 1_000_000), doc="Batches to learn from")] = 1200,
        seed: Annotated[int, Argument(limits=(0, 1_000_000))] = 1,
    ) -> dict[str, Any]:
        """Train the network on simulated pulses and interference, and write its weights to the results folder.

        Minutes; the property model_weights names the weights that are used.
        """
        if not self.properties.results:
            raise NotAllowedError("there is no results folder: the property results is empty")
        path = Path(self.properties.results) / f"weights-{seed}.npz"
        run.report(0.0, "learning")
        loop = asyncio.get_running_loop()

        def told(part: float) -> None:
            loop.call_soon_threadsafe(run.report, 100.0 * part, "learning")

        answer: dict[str, Any] = await self._apart(("train", str(path), steps, seed), LONGEST_TRAINING_S, told)
        return answer

    # How it is done -----------------------------------------------------------------------------------------------

    def _deliver(self, gulp: Gulp) -> None:
        self._last_gulp_at = time.monotonic()
        self.engine.put(gulp)

    def prepare(self, gulp: Gulp, follows: bool) -> Job:
        """What the search is to do with a gulp; the engine asks."""
        pulses = self.injected.part_of(gulp, follows)
        save, self._save_next = self._save_next, False
        reset, self._reset_noise = self._reset_noise, False
        return Job(gulp, follows, self._plan, pulses, save, reset)

    def found(self, gulp: Gulp, found: Found) -> None:
        """The engine tells what the search of a gulp gave."""
        self.show_gulp(gulp, found)
        self.set_fault("results", found.problem)
        self.set_fault("scheduler", found.scheduler_problem)
        for injection in self.injected.found(found):
            self.injection_recovered.publish(injection.recovered)
            self.injection_candidate.publish(injection.candidate)
        if len(self.injected):
            self.injections.publish_change(self.injected.to_json())
        # The strongest is to be the newest.
        for candidate, cutout in reversed(list(zip(found.candidates, found.cutouts, strict=True))):
            self.log_of_candidates.add(candidate, cutout)
            if self._is_trigger(candidate):
                self.show_trigger(candidate)
                self.hooks.tell(candidate, device=self.name)
        if found.candidates:
            self.show_candidates()
            self.show_chosen(self.chosen.value)
            self.log.info("gulp %s: %s", gulp.isot, self.log_of_candidates.line(0))
        elif self.properties.verbose:
            self.log.info("gulp %s: %.1f sigma at most, %.3f s", gulp.isot, self.snr_max.value, found.seconds["total"])

    def failed(self, gulp: Gulp, why: str) -> None:
        """The engine tells that a gulp could not be searched."""
        self.injected.lost()

    def _is_trigger(self, candidate: Candidate) -> bool:
        """Whether hooks are told of a candidate."""
        given = self.properties
        unwanted = candidate.injected and not given.hook_injections
        return candidate.snr >= given.hook_snr and not unwanted and not candidate.rfi_probability > given.pthreshold

    async def _apart(self, question: Any, seconds: float, told: Tell = lambda part: None) -> Any:
        """Ask a process of its own, which ends with the operation."""
        setup = Setup(self.properties, self._shape, "")
        worker = WorkerProcess(make_worker, setup, name=f"work of {self.name}")
        work: Callable[[], Any] = lambda: worker.ask(question, seconds, told)  # noqa: E731
        task = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        finally:
            worker.kill()
            await asyncio.wait([task])
            await asyncio.to_thread(worker.close)

    async def poll_state(self) -> None:
        """Say how the search stands."""
        self.hooks_told.publish_change(self.hooks.told)
        self.hooks_failed.publish_change(self.hooks.failed + self.hooks.dropped)
        self.set_fault("search", self.engine.problem)
        silent = time.monotonic() - self._last_gulp_at > 3.0 * self.gulp_seconds + self.properties.gulp_wait
        if self.engine.is_halted:
            self.set_state(DeviceState.STANDBY, "halted: gulps are not searched")
        elif not self.engine.is_ready:
            self.set_state(DeviceState.STANDBY, "the search is starting")
        elif silent:
            self.set_state(DeviceState.STANDBY, "no gulps come")
        else:
            missing = self.gulp_missing.value
            lacking = f"; {missing} of {self.properties.nchans} sub-bands do not come" if missing else ""
            self.set_state(DeviceState.ON, f"gulps are searched{lacking}")


def _trials(dms: Any, widths: Any) -> Trials:
    try:
        return Trials(tuple(float(dm) for dm in dms), tuple(int(width) for width in widths))
    except ValueError as error:
        raise BadValueError(str(error)) from error
