"""Where results lie and what is noted of images: no two share a name, none leaves the base folder or is forgotten."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.drivers.allowed_folders import AllowedFolders
from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.batch import Version, text_file
from devices.saxs.journal import Entry, Journal
from devices.saxs.outputs import Outputs
from devices.saxs.run import Run
from tests.saxs.beamline import calibration


def run(base: Path, images: str = "data", title: str = "march") -> Run:
    base = Path(os.path.realpath(base))
    folder = base / images
    folder.mkdir(parents=True, exist_ok=True)
    began = time.mktime((2026, 11, 21, 9, 5, 7, 0, 0, -1))
    return Run(base / ".run", base, AllowedFolders([base]), folder, calibration(Title=title), (), began)


def test_results_lie_beside_the_folder_of_the_image(tmp_path: Path) -> None:
    outputs = Outputs(run(tmp_path))
    assert outputs.of(str(tmp_path / "data" / "a.tif")) == str(tmp_path / "work" / "a")
    assert outputs.of(str(tmp_path / "data" / "night" / "b.cbf")) == str(tmp_path / "data" / "work" / "b")
    assert (tmp_path / "data" / "work").is_dir()


def test_an_image_keeps_its_name(tmp_path: Path) -> None:
    outputs = Outputs(run(tmp_path), folder=tmp_path / "all")
    first, second = str(tmp_path / "data" / "a.tif"), str(tmp_path / "data" / "x" / "a.tif")
    names = [outputs.of(first), outputs.of(second), outputs.of(first), outputs.of(second)]
    assert names == [str(tmp_path / "all" / each) for each in ("a", "x__a", "a", "x__a")]
    assert outputs.all() == names[:2]


def test_images_that_differ_by_their_suffix_alone_have_names_of_their_own(tmp_path: Path) -> None:
    outputs = Outputs(run(tmp_path), folder=tmp_path / "all")
    found = [Path(outputs.of(str(tmp_path / "data" / f"a.{each}"))).name for each in ("tif", "cbf", "edf", "tiff")]
    assert found[0] == "a" and len(set(found)) == 4


def test_names_of_before_a_restart_are_not_given_again(tmp_path: Path) -> None:
    outputs = Outputs(run(tmp_path), folder=tmp_path / "all")
    outputs.note("/elsewhere/a.tif", str(tmp_path / "all" / "a"))
    assert outputs.of(str(tmp_path / "data" / "a.tif")) == str(tmp_path / "all" / "data__a")
    outputs.forget()
    assert outputs.of(str(tmp_path / "data" / "a.tif")) == str(tmp_path / "all" / "a")


part = st.sampled_from(["a", "b", "a__b", "work", "data", "c_tif", "a_cR1", "c"])
image = st.tuples(st.lists(part, max_size=4).map(tuple), part, st.sampled_from(["tif", "cbf", "TIF"]))


@settings(max_examples=200, deadline=None)
@given(st.lists(image, unique=True, max_size=30), st.booleans())
def test_no_two_images_share_a_name(tmp_path_factory: pytest.TempPathFactory, images: list, together: bool) -> None:  # type: ignore[type-arg]
    base = tmp_path_factory.getbasetemp() / "names"
    outputs = Outputs(run(base), folder=base / "all" if together else None)
    paths = [str(base.joinpath("data", *folders, f"{name}.{suffix}")) for folders, name, suffix in images]
    found = [outputs.of(each) for each in paths]
    assert len(set(found)) == len(paths)
    assert all(Path(each).is_relative_to(base) for each in found)
    # Nor do their files of curves: the first has the plain name, the others tell kind and index.
    files = [text_file(each, curve) for each in found for curve in ("Radial0", "Radial1", "Slice2")]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("relative", ["../../outside", "../../../../../../tmp/outside", "/tmp/outside", "../link"])
def test_results_do_not_leave_the_base_folder(tmp_path: Path, relative: str) -> None:
    base = tmp_path / "base"
    where = run(base)
    (base / "link").symlink_to(tmp_path / "elsewhere")
    found = Outputs(where, relative).of(str(base / "data" / "a.tif"))
    assert Path(os.path.realpath(found)).is_relative_to(base)
    # One of its name there; not when that leads outside, too.
    assert Path(found).parent == (base / "outside" if "outside" in relative else base)


def test_the_file_of_all_curves_is_called_by_title_and_begin_of_the_run(tmp_path: Path) -> None:
    assert Outputs(run(tmp_path)).curves_file == tmp_path / "work" / "march_20261121-090507.h5"
    assert Outputs(run(tmp_path, title="../x y/..")).curves_file.name == "x_y_20261121-090507.h5"
    assert Outputs(run(tmp_path, title="")).curves_file.name == "data_20261121-090507.h5"


def test_the_live_list_lies_beside_the_folder_of_the_images(tmp_path: Path) -> None:
    assert Outputs(run(tmp_path, "data/night")).live_list == tmp_path / "data" / "results" / "filelist_night.log"
    # Of the base folder itself: beside it would be outside.
    base = tmp_path / "base"
    assert Outputs(run(base, ".")).live_list.parent == base / "results"


DONE = Entry(
    "/data/a.tif", Version(1_795_169_758_397_055_612, 4_096_828), "/work/a", 1.4e9 + 0.25,
    (IntegralParameters(1.0, 1 / 3, float("nan")), None),
)  # fmt: skip
GIVEN_UP = Entry("/data/b.tif", None, "", 1.5e9, (), "ProtocolError: truncated")


def test_a_journal_tells_what_was_noted_before_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.add([DONE, GIVEN_UP])
    journal.close()
    found = list(Journal(tmp_path / "run").entries())
    assert [each.path for each in found] == ["/data/a.tif", "/data/b.tif"]
    assert found[0].version == DONE.version, "ns to the last digit"
    assert (found[0].output, found[0].taken, found[0].why) == ("/work/a", 1.4e9 + 0.25, "")
    first, second = found[0].parameters
    assert first is not None and first[:2] == (1.0, 1 / 3) and first.i2 != first.i2
    assert second is None
    assert found[1] == GIVEN_UP


def test_an_image_that_came_again_is_the_newest(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([DONE, GIVEN_UP])
    journal.add([DONE._replace(taken=7.0)])
    assert [(each.path, each.taken) for each in journal.entries()] == [("/data/b.tif", 1.5e9), ("/data/a.tif", 7.0)]
    journal.add([GIVEN_UP, GIVEN_UP._replace(path="/data/c.tif")])
    assert [each.path for each in journal.entries()] == ["/data/a.tif", "/data/b.tif", "/data/c.tif"]
    journal.clear()
    assert list(journal.entries()) == []


def test_an_image_that_came_twice_at_once_is_noted_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([DONE, DONE._replace(taken=7.0)])
    assert [each.taken for each in journal.entries()] == [7.0]


def test_names_that_are_no_text_can_be_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([DONE._replace(path="/data/\udcff.tif", output="/work/\udcff")])
    journal.add([DONE._replace(path="/data/\udcff.tif", output="/work/\udcff", taken=8.0)])
    journal.add([DONE._replace(path="/data/\udcfe.tif", why="ProtocolError: /data/\udcfe.tif")])
    assert [(each.path, each.taken) for each in journal.entries()] == [
        ("/data/\udcff.tif", 8.0),
        ("/data/\udcfe.tif", DONE.taken),
    ]


def test_what_was_noted_survives_the_death_of_the_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add([DONE])
    # Not closed: a second reader sees what a killed process has left, by the log of the database.
    assert [each.path for each in Journal(tmp_path).entries()] == ["/data/a.tif"]
