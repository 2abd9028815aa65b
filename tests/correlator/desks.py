"""What stands in for the search in tests of the engine: slow, dying, hanging, failing on demand."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from devices.core.errors import BadValueError
from devices.correlator.job import Found, Job
from devices.correlator.worker_process import Tell


class SlowDesk:
    """Takes some seconds for each gulp; ``isot`` may ask for something else."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def answer(self, job: Job, tell: Tell) -> Any:
        if job.gulp.isot == "die":
            os._exit(3)
        if job.gulp.isot == "fail":
            raise BadValueError("this gulp cannot be searched")
        time.sleep(3600.0 if job.gulp.isot == "hang" else self._seconds)
        nothing = np.zeros((4, 5), np.float32)
        return Found(
            number=job.gulp.number,
            isot=job.gulp.isot,
            candidates=(),
            cutouts=(),
            snr=nothing,
            sigma=np.ones((2, 3)),
            channel_sigma=np.ones(3),
            voxels=0,
            cut=0,
            complete=job.follows,
            injected=(),
            saved="",
            problem="",
            seconds={"total": self._seconds},
        )

    def close(self) -> None:
        pass


class UnmadeDesk(SlowDesk):
    """Cannot be made."""

    def __init__(self, seconds: float) -> None:
        raise BadValueError(f"no desk for {seconds:g} s")


class TellingDesk:
    """Says how much is done before it answers."""

    def __init__(self, parts: tuple[float, ...]) -> None:
        self._parts = parts

    def answer(self, question: str, tell: Tell) -> str:
        for part in self._parts:
            tell(part)
        return question.upper()

    def close(self) -> None:
        pass
