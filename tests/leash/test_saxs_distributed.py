"""A folder of SAXS images on the workers of a Dask scheduler: the files that one machine alone would write."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import pytest

from devices.core.errors import BadValueError, ConfigurationError
from devices.saxs import SaxsDetector
from servers.leash.integration import Order, Tally, integrate_folder
from tests.saxs.beamline import DETECTOR, calibration, folder, image
from tests.support.dask_cluster import cluster_here, processes

IMAGES = 24


def beamline(base: Path, images: int = IMAGES) -> Path:
    """Different images in two folders; the calibration's file."""
    folder(base)
    for number in range(images):
        image(base / "data" / f"run{number % 2}" / f"shot{number:04d}.tif", DETECTOR.expose(1.0 + 0.7 * number))
    (base / "cal.json").write_text(json.dumps(calibration(Directory=["elsewhere"])))
    return base / "cal.json"


def results(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*.chi"))}


def quiet(tally: Tally) -> None:
    pass


def done_once(file: Path, images: int) -> None:
    """The HDF5 file has each image once."""
    with h5py.File(file) as kept:
        names = [Path(name).name for name in kept["entry/file"].asstr()[...]]
    assert sorted(names) == [f"shot{number:04d}.tif" for number in range(images)]


def test_workers_write_what_processes_here_would_write_to_the_last_byte(tmp_path: Path) -> None:
    made = beamline(tmp_path)
    local = integrate_folder(Order(tmp_path / "data", made, output=tmp_path / "local", workers=1), quiet)
    with cluster_here() as cluster:
        order = Order(
            tmp_path / "data", made, output=tmp_path / "shared", form="both", scheduler=cluster.scheduler_address
        )
        tally = integrate_folder(order, quiet)
    assert (tally.done, tally.failed, tally.problems) == (IMAGES, 0, []) == (local.done, local.failed, local.problems)
    assert len(results(tmp_path / "local")) == IMAGES
    assert results(tmp_path / "shared") == results(tmp_path / "local")
    [file] = (tmp_path / "shared").glob("*.h*5")
    done_once(file, IMAGES)
    assert not list(tmp_path.rglob(".diptych-saxs-*")), "nothing is left of what workers were told"


def test_a_broken_image_fails_alone_and_says_why(tmp_path: Path) -> None:
    made = beamline(tmp_path, 3)
    broken = tmp_path / "data" / "run0" / "shot0000.tif"
    broken.write_bytes(broken.read_bytes()[:4000])
    with cluster_here(workers=1) as cluster:
        tally = integrate_folder(Order(tmp_path / "data", made, scheduler=cluster.scheduler_address), quiet)
    assert (tally.done, tally.failed) == (2, 1)
    [why] = tally.failures.values()
    assert str(broken) in why


def test_results_that_cannot_be_written_are_told_before_anything_begins(tmp_path: Path) -> None:
    made = beamline(tmp_path, 1)
    (tmp_path / "file").touch()
    order = Order(tmp_path / "data", made, output=tmp_path / "file" / "x", scheduler="tcp://127.0.0.1:8786")
    with pytest.raises(BadValueError, match=r"workers of tcp://127\.0\.0\.1:8786 need a folder here"):
        integrate_folder(order, quiet)


def test_a_detector_with_a_scheduler_keeps_its_queue_where_workers_see_it(tmp_path: Path) -> None:
    given = {"folder": str(tmp_path), "scheduler": "tcp://127.0.0.1:8786"}
    with pytest.raises(ConfigurationError, match="scheduler needs runs, too"):
        SaxsDetector("saxs/test/1", given)


@pytest.mark.long
@pytest.mark.timeout(600)  # eight processes that begin, on a machine that may be busy
def test_workers_and_a_scheduler_that_are_killed_lose_no_image_and_do_none_twice(tmp_path: Path) -> None:
    images = 36
    made = beamline(tmp_path, images)
    here = ThreadPoolExecutor(1)
    local = integrate_folder(Order(tmp_path / "data", made, output=tmp_path / "local", workers=1), quiet, here)
    assert local.done == images
    with processes(tmp_path / "dask", workers=1) as (cluster, workers):
        order = Order(
            tmp_path / "data", made, output=tmp_path / "shared", form="both", workers=2, scheduler=cluster.address
        )
        deaths: list[int] = []

        def harm(tally: Tally) -> None:
            """A worker is killed after a tenth of the images, the scheduler after a third."""
            if not deaths and tally.done > images // 10:
                deaths.append(tally.done)
                workers[0].kill()
                workers.append(cluster.start_worker())
            elif len(deaths) == 1 and tally.done > images // 3:
                deaths.append(tally.done)
                cluster.kill_scheduler()
                threading.Thread(target=heal).start()

        def heal() -> None:
            time.sleep(2.0)  # longer than anybody needs to see it
            cluster.start_scheduler()
            workers.append(cluster.start_worker())

        tally = integrate_folder(order, harm)
    assert len(deaths) == 2 and deaths[1] < images, "both died in the middle of it"
    assert (tally.found, tally.done, tally.failed, tally.problems) == (images, images, 0, [])
    assert results(tmp_path / "shared") == results(tmp_path / "local")
    [file] = (tmp_path / "shared").glob("*.h*5")
    done_once(file, images)
