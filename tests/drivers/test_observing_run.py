"""The tree of runs on a recorder's disk."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devices.core.errors import BadValueError, NotConnectedError
from devices.drivers.observing_run import ObservingData, RunName, module_numbers, parse_time

REAL_RUN = "obs_Lick.start_2024-07-25T04:34:06Z.runtype_sci-data.pffd"
LATER_RUN = "obs_Lick.start_2024-07-25T05:00:00Z.runtype_sci-data.pffd"


def test_the_name_of_a_run_tells_where_when_and_what() -> None:
    found = RunName.parse(REAL_RUN)
    assert found == RunName("Lick", datetime(2024, 7, 25, 4, 34, 6, tzinfo=UTC), "sci-data")
    assert str(found) == REAL_RUN
    assert RunName.parse("obs_SIMULATE") == RunName("SIMULATE")
    assert str(RunName("SIMULATE")) == "obs_SIMULATE"
    assert RunName.parse("obs_two_words.start_2024-07-25T04_34_06Z.runtype_a_b.pffd") == RunName(
        "two_words", datetime(2024, 7, 25, 4, 34, 6, tzinfo=UTC), "a_b"
    )


@pytest.mark.parametrize("name", ["module_3", "start_2024-07-25T04:34:06Z", "obs_a.start_yesterday.pffd", ""])
def test_other_folders_are_no_runs(name: str) -> None:
    assert RunName.parse(name) is None


def test_a_time_that_is_none_is_told() -> None:
    with pytest.raises(BadValueError, match="start = '2024-13-01T00:00:00Z' is not a time such as"):
        parse_time("2024-13-01T00:00:00Z")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for place in (f"module_3/{REAL_RUN}", f"module_3/{LATER_RUN}", "module_254/obs_SIMULATE", "module_8", REAL_RUN):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "module_99999999").mkdir()
    (tmp_path / "module_x").mkdir()
    return tmp_path


def test_modules_and_their_newest_runs(data: Path) -> None:
    """The one into which a file came last, whatever its name says."""
    tree = ObservingData(data)
    assert list(tree.modules()) == [3, 8, 254]
    os.utime(data / "module_3" / LATER_RUN, (1e9, 1e9))
    os.utime(data / "module_3" / REAL_RUN, (1.1e9, 1.1e9))
    assert [run.name for run in tree.runs(3)] == [LATER_RUN, REAL_RUN]
    (data / "module_3" / LATER_RUN / "new.pff").touch()
    assert {module: run.name for module, run in tree.newest_runs().items()} == {3: LATER_RUN, 254: "obs_SIMULATE"}


def test_files_by_product_and_number(data: Path) -> None:
    run = data / "module_3" / REAL_RUN
    for name in (
        "dp_img16.bpp_2.module_3.seqno_10",
        "dp_img16.bpp_2.module_3.seqno_9",
        "dp_ph256.bpp_2.module_3.seqno_0",
    ):
        (run / f"start_2024-07-25T04:34:46Z.{name}.pff").touch()
    (run / "sim.dp_img8.pff").touch()  # its module stands in the folder's name
    for name in ("hk.pff", "obs_config.json", ".a.dp_img16.module_3.pff", "a.dp_img16.module_70000.pff"):
        (run / name).touch()
    found = ObservingData(data).files(run)
    assert [(file.module, file.product, file.seqno) for file in found] == [
        (3, "img16", 9),
        (3, "img16", 10),
        (3, "img8", 0),
        (3, "ph256", 0),
    ]


def test_nothing_outside_is_found(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("module_7")
    name = "start_x.dp_img16.bpp_2.module_7.seqno_0.pff"
    (outside / name).touch()
    (data / "module_7").symlink_to(outside)
    (data / "module_3" / REAL_RUN / name).symlink_to(outside / name)
    (data / "module_3" / "obs_loop").symlink_to(data)
    tree = ObservingData(data)
    assert 7 not in tree.modules()
    assert list(tree.all_files()) == []
    assert tree.file(outside / name) is None
    assert tree.file(data / "module_3" / ".." / ".." / outside.name / name) is None


def test_a_data_folder_that_is_itself_a_link_is_followed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "data"
    link.symlink_to(data)
    (data / "module_8" / "a.dp_img16.module_8.pff").touch()
    assert [file.path for file in ObservingData(link).all_files()] == [data / "module_8" / "a.dp_img16.module_8.pff"]


def test_a_data_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    tree = ObservingData(tmp_path / "nothing")
    for look in (tree.modules, lambda: list(tree.all_files()), tree.newest_runs):
        with pytest.raises(NotConnectedError, match="nothing is missing"):
            look()


@pytest.mark.parametrize(
    ("given", "numbers"),
    [("0-3", (0, 1, 2, 3)), ("7", (7,)), ("1, 5-6,5", (1, 5, 6)), ([3, "8-9"], (3, 8, 9)), (254, (254,)), ([], ())],
)
def test_numbers_of_modules(given: object, numbers: tuple[int, ...]) -> None:
    assert module_numbers(given) == numbers


@pytest.mark.parametrize("given", ["", "3-1", "x", "0-65536", [None], "-1", "1;2"])
def test_what_are_no_numbers_of_modules(given: object) -> None:
    with pytest.raises(BadValueError, match="are not numbers and ranges up to 65535"):
        module_numbers(given)
