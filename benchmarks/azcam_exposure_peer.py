"""An azcam camera on an Archon, for the Python of the environment that has azcam.

``azcam_exposure_peer.py HOST PORT CONFIGURATION COLUMNS ROWS FOLDER`` resets the controller and prints ``ready``; for
each line that it reads it takes an exposure of 0 s and prints how long that took from its begin to its file, without
the time in which azcam waits for the controller (it looks every 0.5 s), in s.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    host, port, configuration, columns, rows, folder = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # azcam prints what it does
    exposure = _camera(host, int(port), configuration, int(columns), int(rows), folder)
    waits = _Clock(exposure.integrate)
    exposure.integrate = waits
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        exposure.expose(0.0, "zero", "a bias")
        seconds = time.perf_counter() - began - waits.seconds
        Path(exposure.last_filename).unlink()
        print(seconds, file=answers, flush=True)


class _Clock:
    """How long the last call took, s."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.seconds = 0.0

    def __call__(self) -> None:
        began = time.perf_counter()
        self._work()
        self.seconds = time.perf_counter() - began


def _camera(host: str, port: int, configuration: str, columns: int, rows: int, folder: str) -> Any:
    import azcam
    import azcam.server
    from azcam.tools.archon.controller_archon import ControllerArchon
    from azcam.tools.archon.exposure_archon import ExposureArchon

    azcam.server.setup_server()
    controller = ControllerArchon()
    controller.camserver.host, controller.camserver.port = host, port
    controller.timing_file = configuration
    controller.reset_flag = 1  # the configuration is uploaded
    exposure = ExposureArchon()
    exposure.filetype = exposure.filetypes["MEF"]
    exposure.folder, exposure.root = folder, "azcam."
    exposure.display_image = exposure.send_image = 0
    exposure.overwrite = 1
    detector = {
        "name": "bench",
        "format": [columns, 0, 0, 32, rows, 0, 0, 0, 0],
        "focalplane": [1, 1, 2, 2, [0, 1, 2, 3]],
        "roi": [1, columns, 1, rows, 1, 1],
        "ext_position": [[1, 1], [2, 1], [1, 2], [2, 2]],
        "det_position": [[1, 1]],
        "det_number": [1, 1, 1, 1],
        "ext_name": ["im1", "im2", "im3", "im4"],
        "ext_number": [1, 2, 3, 4],
        "jpg_order": [1, 2, 3, 4],
        "ref_pixel": [columns / 2, rows / 2],
    }
    exposure.set_detpars(detector)
    exposure.image.focalplane.gains = [1.5] * 4
    exposure.image.focalplane.rdnoises = [4.0] * 4
    exposure.fileconverter.set_detector_config(detector)
    controller.reset()
    return exposure


if __name__ == "__main__":
    main()
