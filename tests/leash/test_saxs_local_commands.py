"""``diptych saxs convert`` and ``integrate``: calibrations and whole folders without a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result

from devices.drivers.chi_file import read_chi
from devices.drivers.saxs_calibration import read_calibration
from devices.pipelines.saxs_peak import strongest_peak
from servers.leash import integration
from servers.leash.command import saxs
from servers.leash.integration import Order, Tally, integrate_folder
from tests.saxs.beamline import EXPECTED, FRAME, calibration, folder, image
from tests.support.serving import wait_until

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "saxs"
PONI = """\
Distance: 0.21
PixelSize1: 0.000172
PixelSize2: 0.000172
Poni1: 0.0041
Poni2: 0.0052
Rot1: 0.01
Rot2: -0.02
Rot3: 0.0
Wavelength: 1e-10
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a calibration, its mask, and an empty folder for images."""
    folder(tmp_path)
    (tmp_path / "cal.json").write_text(json.dumps(calibration(Directory=["elsewhere"])))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saxs_command(*words: str) -> Result:
    done = CliRunner().invoke(saxs, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def in_threads(order: Order) -> Tally:
    """The same as the command, in threads of this process: quicker."""
    return integrate_folder(order, lambda tally: None, ThreadPoolExecutor(2))


# Integrating ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_integrated_by_processes_and_what_fails_is_said(base: Path) -> None:
    images = [image(base / "data" / name) for name in ("a.tif", "b.tif", "sub/c.tif", "sub/a.tif")]
    (base / "data" / "broken.tif").write_bytes(images[0].read_bytes()[:5000])
    command = [sys.executable, "-P", "-m", "servers.main", "saxs", "integrate", "data", "-t", "2", "-p"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=base, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("4 of 5 images integrated, 1 failed; ")
    assert f"error: ProtocolError: {base / 'data' / 'broken.tif'}: " in done.stderr
    assert sorted(each.name for each in (base / "work").iterdir()) == ["a.chi", "a.png", "b.chi", "b.png"]
    assert sorted(each.name for each in (base / "data" / "work").iterdir()) == ["a.chi", "a.png", "c.chi", "c.png"]
    head, columns = read_chi(base / "data" / "work" / "c.chi")
    # 19 digits are written: what is read is what the integration gives, to the last bit.
    np.testing.assert_array_equal(columns, [EXPECTED.q, EXPECTED.intensity, EXPECTED.sigma])
    assert json.loads(head[0])["Directory"] == ["elsewhere"], "the calibration is kept as it is"
    assert (base / "work" / "a.png").read_bytes().startswith(b"\x89PNG")
    lines = (base / "results" / "filelist_data.log").read_text().splitlines()
    assert sorted(line.split(",")[0] for line in lines) == sorted(
        str(base / each) for each in ("work/a", "work/b", "data/work/a", "data/work/c")
    )


@pytest.mark.long
def test_ctrl_c_ends_within_one_image_and_leaves_whole_files(base: Path) -> None:
    first = image(base / "data" / "i0000.tif")
    for number in range(1, 4000):
        os.link(first, base / "data" / f"i{number:04d}.tif")
    command = [sys.executable, "-P", "-m", "servers.main", "saxs", "integrate", "data", "-t", "2"]
    process = subprocess.Popen(
        command, cwd=base, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        work = base / "work"
        wait_until(lambda: work.exists() and len(os.listdir(work)) > 20, 60.0, "some images")
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err == ""
    written = sorted(work.iterdir())
    assert {each.suffix for each in written} == {".chi"}, "no part of a file is left"
    assert 20 < len(written) < 4000
    assert out.startswith(f"{len(written)} of 4000 images integrated, interrupted; ")
    for each in (written[0], written[-1]):
        np.testing.assert_array_equal(read_chi(each)[1][1], EXPECTED.intensity)
    assert psutil.wait_procs(children, 20.0)[1] == [], "all of them end; the keeper of shared memory a moment later"


def test_images_that_have_results_are_passed_over(base: Path) -> None:
    image(base / "data" / "a.tif")
    assert in_threads(Order(Path("data"), Path("cal.json"))).done == 1
    before = (base / "work" / "a.chi").stat().st_mtime_ns
    image(base / "data" / "b.tif")
    tally = in_threads(Order(Path("data"), Path("cal.json"), resumes=True))
    assert (tally.found, tally.done, tally.passed, tally.failed) == (2, 1, 1, 0)
    assert (base / "work" / "a.chi").stat().st_mtime_ns == before
    assert in_threads(Order(Path("data"), Path("cal.json"))).done == 2, "without --resume all are done again"
    (base / "cal.json").write_text(json.dumps(calibration(OverwriteFiles=False)))
    assert in_threads(Order(Path("data"), Path("cal.json"))).passed == 2, "the calibration says so, too"


def test_only_the_folder_itself_is_done_without_a_walk(base: Path) -> None:
    image(base / "data" / "sub" / "c.tif")
    tally = in_threads(Order(Path("data"), Path("cal.json"), walks=False))
    assert (tally.found, tally.is_good) == (0, True)
    image(base / "data" / "z.tif")
    assert in_threads(Order(Path("data"), Path("cal.json"), walks=False)).done == 1
    assert [each.name for each in (base / "work").iterdir()] == ["z.chi"]


def test_results_may_lie_anywhere_and_none_overwrites_another(base: Path, tmp_path_factory: Any) -> None:
    out = tmp_path_factory.mktemp("out")
    image(base / "data" / "one" / "a.tif", FRAME)
    image(base / "data" / "two" / "a.tif", np.ascontiguousarray(FRAME * 3, dtype=np.int32))
    order = Order(Path("data"), Path("cal.json"), form="both", output=out, pictures=("svg",))
    assert in_threads(order).done == 2
    names = sorted(each.name for each in out.iterdir() if each.suffix != ".h5")
    assert names == ["a.chi", "a.svg", "two__a.chi", "two__a.svg"]
    np.testing.assert_allclose(read_chi(out / "two__a.chi")[1][1], 3.0 * EXPECTED.intensity, rtol=1e-12)
    (file,) = out.glob("*.h5")
    with h5py.File(file) as content:
        assert content["entry/Radial0/I"].shape == (2, len(EXPECTED.q))
    assert b"<svg" in (out / "a.svg").read_bytes()[:1000]


def test_results_may_be_asked_for_beside_the_images(base: Path) -> None:
    image(base / "data" / "a.tif")
    assert in_threads(Order(Path("data"), Path("cal.json"), relative="../../there")).done == 1
    assert (base.parent / "there" / "a.chi").exists()


def test_a_watch_goes_on_with_images_that_appear(base: Path) -> None:
    image(base / "data" / "before.tif")
    seen: list[int] = []

    def show(tally: Tally) -> None:
        if tally.ended == 1 and len(seen) == 0:
            image(base / "data" / "sub" / "later.tif")
            seen.append(1)
        if tally.ended == 2 and len(seen) == 1:
            seen.append(2)
            os.kill(os.getpid(), signal.SIGINT)

    tally = integrate_folder(Order(Path("data"), Path("cal.json"), watches=True), show, ThreadPoolExecutor(1))
    assert seen == [1, 2]
    assert (tally.done, tally.failed, tally.is_interrupted) == (2, 0, True)
    assert (base / "data" / "work" / "later.chi").exists()


def test_pictures_that_cannot_be_written_are_a_problem_and_the_curves_are_there(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(base / "data" / "a.tif")
    (base / "work" / "a.svg").mkdir(parents=True)  # in the way
    tally = in_threads(Order(Path("data"), Path("cal.json"), pictures=("svg",)))
    assert tally.done == 1
    assert [line.split(" cannot")[0] for line in tally.problems] == [str(base / "work" / "a.svg")]
    assert not tally.is_good
    assert (base / "work" / "a.chi").exists()


def test_pictures_hold_up_the_integration_when_they_do_not_keep_up(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        image(base / "data" / f"i{number:02d}.tif")
    most: list[int] = []
    drawn: list[str] = []
    kept = integration._Integration._integrate

    async def counted(self: Any, jobs: Any) -> Any:
        found = await kept(self, jobs)
        most.append(len(self._undrawn))
        return found

    def draw(done: Any, curves: Any, kinds: Any) -> None:
        time.sleep(0.002)
        drawn.append(done.job.output)

    monkeypatch.setattr(integration._Integration, "_integrate", counted)
    monkeypatch.setattr(integration, "draw_pictures", draw)
    assert in_threads(Order(Path("data"), Path("cal.json"), pictures=("png",))).done == 60
    assert len(set(drawn)) == 60
    # Each of the batches in work (two for each of two workers) may come to it, and no more.
    assert max(most) <= integration.MOST_UNDRAWN + 4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("data", "-m"), "error: -m: curves are shown live by"),
        (("data", "-V"), "error: -V: servers are started by"),
        (("data", "-P"), "error: -P: profiles"),
        (("nowhere",), "error: nowhere: no such folder"),
        (("data", "-c", "no.json"), "error: no.json: no.json cannot be read: No such file or directory"),
        (("data", "-r", "--format", "hdf5"), "error: --resume passes over images that have a text result"),
        (("data", "-c", "wrong.json"), "error: wrong.json: Wavelength: missing"),
        (("data", "-c", "unmasked.json"), "error: unmasked.json: Masks[0].MaskFile: "),
    ],
)
def test_what_cannot_be_done_is_one_line(base: Path, words: tuple[str, ...], line: str) -> None:
    wrong = calibration()
    del wrong["Wavelength"]
    (base / "wrong.json").write_text(json.dumps(wrong))
    missing = calibration()
    missing["Masks"][0]["MaskFile"] = "gone.msk"
    (base / "unmasked.json").write_text(json.dumps(missing))
    done = saxs_command("integrate", *words)
    assert done.exit_code == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert not (base / "work").exists()


# Converting -----------------------------------------------------------------------------------------------------------


def test_a_calibration_that_exists_is_updated(base: Path) -> None:
    (base / "x.poni").write_text(PONI)
    before = read_calibration(base / "cal.json")
    done = saxs_command("convert", "x.poni", "cal.json")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "cal.json\n", "")
    after = read_calibration(base / "cal.json")
    assert after.masks[0].file == before.masks[0].file
    assert after.masks[0].q_start == 0.7
    assert after.geometry.image_size == (64, 80), "from what was there: a file of version 1 does not say it"
    cosine = np.cos(0.01) * np.cos(0.02)
    assert after.geometry.distance_mm == pytest.approx(210.0 / cosine, rel=1e-12)
    assert after.geometry.tilt_degrees == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-9)


def test_a_template_is_taken_in_the_place_of_what_exists(base: Path) -> None:
    (base / "x.poni").write_text(PONI)
    (base / "new.json").write_text("not JSON at all")
    done = saxs_command("convert", "x.poni", "new.json", "-t", "cal.json")
    assert done.exit_code == 0, done.stderr
    assert read_calibration(base / "new.json").masks[0].q_stop == 2.5


def test_a_calibration_becomes_a_poni_file_and_comes_back(base: Path) -> None:
    before = read_calibration(base / "cal.json").geometry
    assert saxs_command("convert", "cal.json", "x.poni").exit_code == 0
    assert saxs_command("convert", "cal.json", "geometry.txt", "--poni").exit_code == 0
    assert (base / "geometry.txt").read_text() == (base / "x.poni").read_text()
    assert "-0.0" not in (base / "x.poni").read_text()
    assert saxs_command("convert", "x.poni", "back.json").exit_code == 0
    after = read_calibration(base / "back.json").geometry
    assert after.beam_center == pytest.approx(before.beam_center, rel=1e-12)
    assert after.distance_mm == pytest.approx(before.distance_mm, rel=1e-12)
    assert (after.image_size, after.tilt_degrees) == (before.image_size, 0.0)


def test_what_cannot_be_taken_over_is_a_warning(base: Path) -> None:
    (base / "x.poni").write_text(PONI.replace("Rot3: 0.0", "Rot3: 0.5"))
    done = saxs_command("convert", "x.poni", "out.json", "-t", "cal.json")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: x.poni: Rot3 turns the detector about the beam by 28.6")


def test_a_file_that_is_no_calibration_is_refused_and_leaves_what_exists(base: Path) -> None:
    (base / "x.txt").write_text("hello")
    before = (base / "cal.json").read_bytes()
    for source, line in (("x.txt", "neither JSON, a log of Fit2D"), ("gone.txt", "cannot be read")):
        done = saxs_command("convert", source, "cal.json")
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert line in done.stderr
    assert (base / "cal.json").read_bytes() == before


# From the calibration of another program to the ring ------------------------------------------------------------------


@pytest.mark.skipif(not REAL.exists(), reason=f"the real images are not in {REAL}")
def test_silver_behenate_by_a_poni_file_has_its_first_ring_at_1_0762_per_nm(base: Path) -> None:
    row, pixel = 1043 - 805.087, 172e-6
    (base / "agbeh.poni").write_text(
        f"poni_version: 2\nDetector: Pilatus1M\nDetector_config: {{}}\nDistance: 0.835593\nPoni1: {row * pixel!r}\n"
        f"Poni2: {422.371 * pixel!r}\nRot1: 0\nRot2: 0\nRot3: 0\nWavelength: 1.540023e-10\n"
    )
    (base / "mask.json").write_text(json.dumps({"Masks": [{"MaskFile": str(REAL / "AAA_integ.msk")}]}))
    assert saxs_command("convert", "agbeh.poni", "agbeh.json", "-t", "mask.json").exit_code == 0
    (base / "data" / "agbeh.tif").symlink_to(REAL / "agbeh2_1M.tif")
    done = saxs_command("integrate", "data", "-c", "agbeh.json", "-t", "1", "-S")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    q, intensity, sigma = read_chi(base / "work" / "agbeh.chi")[1]
    ring = (q > 0.95) & (q < 1.2)
    # The centroid above half height between the valleys; d(001) = 58.38 Angstrom.
    peak = strongest_peak(q[q < 1.6], intensity[q < 1.6], sigma[q < 1.6])
    assert peak == pytest.approx(2.0 * np.pi / 5.838, abs=1e-3)
    assert q[ring][np.argmax(intensity[ring])] == pytest.approx(peak, abs=0.01)
