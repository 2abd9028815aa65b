"""The search process: gulps in shared memory, and the files and trainings that are asked for beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from devices.core.errors import BadValueError, ConfigurationError
from devices.correlator.apart import search_file, train_network
from devices.correlator.dask_strips import DaskStrips
from devices.correlator.finder import Finder
from devices.correlator.gulp import GulpShape
from devices.correlator.job import Found, Job
from devices.correlator.plan import Setup
from devices.correlator.slots import CubeBlock, slot_view
from devices.correlator.worker_process import Tell
from devices.pipelines.search.pulse import dispersed_pulse
from devices.pipelines.search.search import Search


class SearchDesk:
    """Answers jobs with what was found, in their order."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._block = CubeBlock(setup.block) if setup.block else None
        set_threads(setup)
        try:
            given = setup.properties
            self._finder = Finder(given, DaskStrips(given) if given.scheduler else None)
        except (OSError, ValueError) as error:
            raise ConfigurationError("correlator", [str(error)]) from error
        if setup.block:
            warm_up(setup)

    def answer(self, question: Any, tell: Tell) -> Any:
        if isinstance(question, Job):
            return self._search(question)
        what, *arguments = question
        if what == "search":
            return search_file(self._finder, self._setup.properties, *arguments)
        if what == "train":
            return train_network(question[1], question[2], question[3], self._setup.properties.threads, tell)
        raise BadValueError(f"unknown question {what!r}")

    def close(self) -> None:
        self._finder.close()

    def _search(self, job: Job) -> Found:
        assert self._block is not None
        return self._finder(slot_view(self._block, self._setup.shape, job.gulp.slot), job)


def set_threads(setup: Setup) -> None:
    """The live search has threads of its own; a library's would wait for each other wherever the machine is busy."""
    import torch

    torch.set_num_threads(1 if setup.block else setup.properties.threads)


def warm_up(setup: Setup) -> None:
    """Compile and import what the first gulp needs, so that it is not late: a small image with a strong pulse."""
    given = setup.properties
    shape = GulpShape(given.nchans, given.nsamps, 32)
    trials = given.trials()
    random = np.random.default_rng(1)
    cube = random.standard_normal(shape.cube, np.float32)
    cube[:, :, 16, 16] += 30.0 * dispersed_pulse(given.band, 0.0, 2.0, 5.0, given.nsamps).astype(np.float32)
    search = Search(given.band, trials, device=given.place)
    try:
        search(cube, np.ones(given.nchans, np.bool_))
    finally:
        search.close()
