"""NXcanSAS files of runs: what other programs look for in them, and what becomes of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from devices.core.errors import ProtocolError
from devices.drivers.nxcansas_file import CurveRows, append_curves, count_images, free_name

CALIBRATION: dict[str, Any] = {
    "Geometry": {
        "BeamCenter": [805.1, 422.4], "DedectorDistanceMM": 835.6, "PixelSizeMicroM": [172, 75],
    },
    "Wavelength": 1.54,
}  # fmt: skip
Q, PHI = np.linspace(0.1, 5.0, 50), np.linspace(-3.0, 3.0, 31)


def radial(*scales: float, q: Any = Q) -> CurveRows:
    """Curves that fall as q^-4, with the integrals 1, 2, 3 times the scale."""
    rows = np.array([scale * q**-4.0 for scale in scales])
    return CurveRows("Radial0", "Q", q, rows, np.sqrt(rows), np.array([[s, 2 * s, 3 * s] for s in scales]))


def azimuthal(*scales: float) -> CurveRows:
    rows = np.array([scale * (2.0 + np.cos(PHI)) for scale in scales])
    return CurveRows("Radial1", "phi", PHI, rows, rows / 10.0)


def append(path: Path, *scales: float) -> int:
    names, times = [f"/data/i{scale:g}.tif" for scale in scales], [1e9 + scale for scale in scales]
    return append_curves(path, "march", CALIBRATION, names, times, [radial(*scales), azimuthal(*scales)])


def test_a_file_has_what_nxcansas_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.h5"
    assert append(path, 3.0, 7.0) == 2
    with h5py.File(path) as file:
        assert file.attrs["default"] == "entry"
        entry = file["entry"]
        assert (entry.attrs["NX_class"], entry.attrs["canSAS_class"], entry.attrs["version"]) == (
            "NXentry", "SASentry", "1.1",
        )  # fmt: skip
        assert entry["definition"].asstr()[()] == "NXcanSAS"
        assert (entry["title"].asstr()[()], entry["run"].asstr()[()]) == ("march", "march")
        data = entry[entry.attrs["default"]]
        assert (data.attrs["NX_class"], data.attrs["canSAS_class"]) == ("NXdata", "SASdata")
        assert (data.attrs["signal"], data.attrs["I_axes"]) == ("I", "Time,Q")
        assert list(data.attrs["axes"]) == ["Time", "Q"]
        assert (list(data.attrs["Q_indices"]), list(data.attrs["Time_indices"])) == ([1], [0])
        assert data["Q"].attrs["units"] == "1/nm"
        assert data["I"].attrs["uncertainties"] == "Idev"
        assert data["I"].shape == data["Idev"].shape == (2, 50)
        np.testing.assert_array_equal(data["Q"], Q)
        np.testing.assert_array_equal(data["I"], [3.0 * Q**-4.0, 7.0 * Q**-4.0])
        np.testing.assert_array_equal(data["Time"], [1e9 + 3, 1e9 + 7])
        np.testing.assert_array_equal(data["I2"], [9.0, 21.0])
        azimuth = entry["Radial1"]
        assert azimuth["phi"].attrs["units"] == "rad"
        assert "canSAS_class" not in azimuth.attrs and "I0" not in azimuth, "a curve by azimuth is no SASdata"
        instrument = entry["instrument"]
        assert (instrument["detector/SDD"][()], instrument["detector/SDD"].attrs["units"]) == (835.6, "mm")
        assert instrument["detector/beam_center_x"][()] == 422.4
        assert instrument["detector/beam_center_y"][()] == 805.1
        assert (instrument["detector/y_pixel_size"][()], instrument["detector/x_pixel_size"][()]) == (172.0, 75.0)
        assert instrument["source/incident_wavelength"].attrs["units"] == "angstrom"
        assert json.loads(entry["process/note"].asstr()[()]) == CALIBRATION
        assert list(entry["file"].asstr()[...]) == ["/data/i3.tif", "/data/i7.tif"]


def test_a_file_grows_also_after_it_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    assert [append(path, 1.0), append(path, 2.0, 3.0), append(path, 4.0)] == [1, 3, 4]
    assert count_images(path) == 4
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry/Radial0/I"][:, 0], np.array([1.0, 2.0, 3.0, 4.0]) * Q[0] ** -4.0)
        np.testing.assert_array_equal(file["entry/Radial0/I1"], [2.0, 4.0, 6.0, 8.0])
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_rows_that_a_crash_left_half_written_are_written_over(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append(path, 1.0, 2.0)
    with h5py.File(path, "r+") as file:  # as when the process ends between the curves and the name of the image
        file["entry/Radial0/I"].resize(3, axis=0)
        file["entry/Radial0/I"][2] = 99.0
        file["entry/Time"].resize(3, axis=0)
    with pytest.raises(ProtocolError, match="has 3 rows for 2 images"):
        count_images(path)
    assert append(path, 5.0) == 3
    assert count_images(path) == 3
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry/Radial0/I"][2], 5.0 * Q**-4.0)
        assert file["entry/Time"].shape == (3,)


def test_a_file_that_has_lost_rows_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append(path, 1.0, 2.0)
    with h5py.File(path, "r+") as file:
        file["entry/Radial0/Idev"].resize(1, axis=0)
    with pytest.raises(ProtocolError, match="Idev has 1 rows for 2 images"):
        append(path, 5.0)


def test_curves_of_another_calibration_are_refused_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append(path, 1.0)
    for other in (radial(2.0, q=Q * 1.01), radial(2.0, q=Q[:-1])):
        with pytest.raises(ProtocolError, match="Radial0 has other bins: it belongs to another calibration"):
            append_curves(path, "march", CALIBRATION, ["/b.tif"], [0.0], [other, azimuthal(2.0)])
    other = CurveRows("Slice2", "Q", Q, radial(2.0).intensity, radial(2.0).sigma)
    with pytest.raises(ProtocolError, match=r"run\.h5 is damaged"):
        append_curves(path, "march", CALIBRATION, ["/b.tif"], [0.0], [other])
    assert count_images(path) == 1


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 100, b"\x89HDF\r\n\x1a\n" + bytes(2000)])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(content)
    with pytest.raises(ProtocolError, match=r"run\.h5 is damaged"):
        append(path, 1.0)
    with pytest.raises(ProtocolError, match=r"run\.h5 is damaged"):
        count_images(path)


def test_a_file_whose_end_was_lost_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append(path, *range(1, 40))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProtocolError, match="is damaged"):
        append(path, 1.0)


def test_names_that_are_no_text_are_kept_as_far_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append_curves(path, "march", {}, ["/data/\udcff_\u00fc.tif"], [0.0], [radial(1.0)])
    with h5py.File(path) as file:
        assert list(file["entry/file"].asstr()[...]) == ["/data/\ufffd_\u00fc.tif"]
        assert "SDD" not in file["entry/instrument/detector"]


def test_a_free_name_is_the_next_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    assert free_name(path) == path
    path.touch()
    (tmp_path / "run_2.h5").touch()
    assert free_name(path) == tmp_path / "run_3.h5"
