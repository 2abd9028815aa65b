"""Files of candidates are read back by other programs: astropy, json, csv, xml."""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devices.core.errors import BadValueError, NotAllowedError, ProtocolError, RangeError
from devices.drivers.candidate_files import Retention, read_candidate, write_candidate
from devices.drivers.candidate_names import STATE_FILE, CandidateNames
from devices.drivers.candidate_record import CandidateContext, candidate_of, isot, record, table
from devices.drivers.candidate_voevent import NAMESPACE, voevent
from devices.pipelines.candidates.candidate import Candidate
from devices.pipelines.search.band import Band
from devices.pipelines.search.trials import Trials
from devices.pipelines.sky import SkyGrid

BAND = Band.dsa110()
GULP_MJD = 61365.133382118055
CANDIDATE = Candidate(
    name="261121aaab",
    isot="2026-11-21T03:12:04.215",
    mjd=GULP_MJD + 6 * BAND.sample_s / 86400.0,
    y=120,
    x=201,
    dm_index=2,
    width_index=1,
    sample=6,
    snr=12.3456789,
    dm=814.4,
    width_s=2 * BAND.sample_s,
    ra_deg=31.25,
    dec_deg=36.75,
    members=41,
    rfi_probability=0.0625,
    injected=False,
    complete=True,
)
CONTEXT = CandidateContext(
    band=BAND,
    trials=Trials((0.0, 417.2, 814.4), (1, 2, 4)),
    threshold=7.0,
    gulp_number=17,
    gulp_mjd=GULP_MJD,
    size=300,
    present=(True,) * 15 + (False,),
    look_back=10,
    uv_diag_m=382.0,
    dec_deg=37.1,
    noise=5.6,
)


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    cutout = rng.standard_normal((16, 25, 9, 11)).astype(np.float32)
    return cutout, rng.standard_normal((16, 35)).astype(np.float32)


def written(folder: Path, candidate: Candidate = CANDIDATE, context: CandidateContext = CONTEXT) -> Path:
    write_candidate(folder, candidate, *arrays(), context)
    return folder / ("injections" if candidate.injected else "candidates") / candidate.isot


def test_a_candidate_is_six_files_in_the_folder_of_its_gulp(tmp_path: Path) -> None:
    names = {path.name for path in written(tmp_path).iterdir()}
    assert names == {"candidates.csv", *(f"261121aaab.{kind}" for kind in ("json", "npz", "fits", "png", "xml"))}


def test_the_record_has_the_fields_of_the_telescope_and_ours(tmp_path: Path) -> None:
    read = json.loads((written(tmp_path) / "261121aaab.json").read_text())
    # 2 samples of 134.218 ms are 1048.6 of 0.256 ms.
    assert (read["ibox"], read["cntc"], read["ibeam"]) == (1049, 41, -1)
    assert (read["mjds"], read["snr"], read["ra"], read["dec"]) == (CANDIDATE.mjd, 12.3456789, 31.25, 36.75)
    assert (read["trigname"], read["P"], read["specnum"], read["itime"]) == ("261121aaab", 0.0625, None, None)
    assert read["search"]["dms"][read["dm_index"]] == read["dm"] == 814.4
    assert read["search"]["lead_samples"][15] == 0.0
    assert read["search"]["lead_samples"][0] == pytest.approx(3.22, abs=0.01)
    assert read["gulp"]["number"] == 17


def test_spectra_are_counted_from_where_the_recorder_began() -> None:
    a_minute = replace(CONTEXT, mjd_start=CANDIDATE.mjd - 60.0 / 86400.0)
    counted = record(CANDIDATE, a_minute)
    assert counted["specnum"] == pytest.approx(60.0 / 65.536e-6, abs=1)
    assert counted["itime"] == counted["specnum"] // 4 + 1907


def test_what_is_not_known_is_null_and_comes_back(tmp_path: Path) -> None:
    nowhere = replace(CANDIDATE, ra_deg=math.nan, dec_deg=math.nan, rfi_probability=math.nan)
    lost = replace(CONTEXT, uv_diag_m=math.nan, dec_deg=math.nan)
    path = written(tmp_path, nowhere, lost) / "261121aaab.json"
    assert "NaN" not in path.read_text()
    back = read_candidate(path)
    assert math.isnan(back.ra_deg) and math.isnan(back.rfi_probability)
    assert replace(back, ra_deg=0.0, dec_deg=0.0, rfi_probability=0.0) == replace(
        nowhere, ra_deg=0.0, dec_deg=0.0, rfi_probability=0.0
    )


@settings(max_examples=60, deadline=None)
@given(
    snr=st.floats(-1e6, 1e6),
    dm=st.floats(0, 1e5),
    ra=st.floats(0, 360) | st.just(math.nan),
    sample=st.integers(-40, 40),
    injected=st.booleans(),
    members=st.integers(1, 10**6),
)
def test_a_record_keeps_every_digit(snr, dm, ra, sample, injected, members) -> None:
    candidate = replace(CANDIDATE, snr=snr, dm=dm, ra_deg=ra, sample=sample, injected=injected, members=members)
    back = candidate_of(json.loads(json.dumps(record(candidate, CONTEXT))))
    assert repr(back) == repr(candidate)


def test_the_table_of_a_gulp_has_a_row_for_each_candidate(tmp_path: Path) -> None:
    written(tmp_path)
    second = replace(CANDIDATE, name="261121aaac", snr=8.9999, rfi_probability=math.nan, sample=-4)
    folder = written(tmp_path, second)
    written(tmp_path, replace(CANDIDATE, snr=15.5))
    rows = list(csv.DictReader((folder / "candidates.csv").open()))
    assert [row["candname"] for row in rows] == ["261121aaac", "261121aaab"]
    assert [float(row["SNR"]) for row in rows] == [8.9999, 15.5]
    assert rows[0] == {
        "candname": "261121aaac",
        "RA index": "201",
        "DEC index": "120",
        "WIDTH index": "1",
        "DM index": "2",
        "TOA": "-4",
        "SNR": "8.9999",
        "PROB": "",
    }


def test_a_foreign_file_is_not_taken_for_a_table() -> None:
    with pytest.raises(BadValueError, match="begins with candname"):
        table("a,b\n1,2\n", CANDIDATE)


def test_the_cut_out_can_be_loaded_without_pickle(tmp_path: Path) -> None:
    cutout, spectrum = arrays()
    with np.load(written(tmp_path) / "261121aaab.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["cutout"], cutout)
        np.testing.assert_array_equal(file["dynamic_spectrum"], spectrum)


def test_the_fits_file_has_the_axes_of_the_sky(tmp_path: Path) -> None:
    cutout, spectrum = arrays()
    with fits.open(written(tmp_path) / "261121aaab.fits") as file:
        file.verify("exception")
        header = file[0].header
        np.testing.assert_array_equal(file[0].data, cutout)
        np.testing.assert_array_equal(file["SPECTRUM"].data, spectrum)
        assert file["CHANNELS"].data["PRESENT"].sum() == 15
        assert file["CHANNELS"].data["DELAY"][0] == pytest.approx(-0.432, abs=0.002)
        assert (header["DM"], header["SNR"], header["XPIX"], header["YPIX"]) == (814.4, 12.3456789, 201, 120)
        # The candidate's pixel is in the middle of 9 rows and 11 columns; its window begins at sample 12 of 25.
        ra, dec, seconds, hertz = WCS(header).wcs_pix2world([[5, 4, 11.5, 0], [6, 4, 13.5, 15]], 0).T
    expected = SkyGrid(GULP_MJD, 382.0, 37.1, 300)
    assert (ra[0], dec[0]) == pytest.approx(expected.ra_dec_deg(120, 201), abs=1e-6)
    assert (ra[1], dec[1]) == pytest.approx(expected.ra_dec_deg(120, 202), abs=1e-6)
    assert seconds == pytest.approx([0.0, 2 * BAND.sample_s], abs=1e-9)
    assert hertz == pytest.approx([1492.906e6, 1317.125e6], rel=1e-6)


def test_without_a_pointing_the_fits_file_has_no_sky(tmp_path: Path) -> None:
    lost = replace(CONTEXT, uv_diag_m=math.nan, dec_deg=math.nan)
    header = fits.getheader(written(tmp_path, context=lost) / "261121aaab.fits")
    assert "CTYPE1" not in header and header["CTYPE3"] == "TIME"


def test_the_picture_is_a_picture(tmp_path: Path) -> None:
    with Image.open(written(tmp_path) / "261121aaab.png") as picture:
        assert picture.size == (900, 600)
        # Four panels are more than a page of one colour.
        assert len(np.unique(np.asarray(picture.convert("L")))) > 100


def event_of(candidate: Candidate = CANDIDATE, context: CandidateContext = CONTEXT) -> ElementTree.Element:
    return ElementTree.fromstring(voevent(candidate, context, datetime(2026, 11, 21, 3, 13, tzinfo=UTC)))


def test_a_voevent_has_what_the_standard_asks_for() -> None:
    event = event_of()
    assert event.tag == f"{{{NAMESPACE}}}VOEvent"
    assert (event.get("version"), event.get("role")) == ("2.0", "observation")
    assert event.get("ivorn") == "ivo://diptych.local/correlator#261121aaab"
    assert [child.tag for child in event] == ["Who", "What", "WhereWhen", "How", "Why"]
    assert event.findtext("Who/Date") == "2026-11-21T03:13:00"
    data = "WhereWhen/ObsDataLocation/"
    assert event.find(data + "ObservatoryLocation/AstroCoords/Position3D/Value3/C1").text == "-118.282"
    coordinates = event.find(data + "ObservationLocation/AstroCoords")
    system = event.find(data + "ObservationLocation/AstroCoordSystem")
    assert coordinates.get("coord_system_id") == system.get("id") == "UTC-ICRS-TOPO"
    assert coordinates.findtext("Time/TimeInstant/ISOTime").startswith("2026-11-21T03:12:05.0")
    assert float(coordinates.findtext("Position2D/Value2/C1")) == 31.25
    # Half of a beam of three pixels of 36 arcseconds.
    assert float(coordinates.findtext("Position2D/Error2Radius")) * 3600 == pytest.approx(54.0, abs=0.1)
    params = {param.get("name"): param for param in event.iter("Param")}
    assert float(params["dm"].get("value")) == 814.4
    assert params["width"].get("unit") == "ms" and float(params["width"].get("value")) == pytest.approx(
        268.436, abs=1e-3
    )
    assert float(event.find("Why/Inference").get("probability")) == 0.9375


def test_an_injected_pulse_is_a_test_and_lies_apart(tmp_path: Path) -> None:
    injected = replace(CANDIDATE, injected=True)
    event = ElementTree.parse(written(tmp_path, injected) / "261121aaab.xml").getroot()
    assert (event.get("role"), event.find("Why").get("importance")) == ("test", "0")
    assert not (tmp_path / "candidates").exists()


def test_a_revision_supersedes_the_event_before() -> None:
    second = event_of(replace(CANDIDATE, revision=2))
    cited = second.find("Citations/EventIVORN")
    assert second.get("ivorn").endswith("#261121aaab-r2")
    assert (cited.get("cite"), cited.text) == ("supersedes", "ivo://diptych.local/correlator#261121aaab-r1")
    assert event_of(replace(CANDIDATE, revision=1)).findtext("Citations/EventIVORN").endswith("#261121aaab")


def test_a_voevent_without_a_pointing_has_a_time_and_no_place() -> None:
    coordinates = event_of(replace(CANDIDATE, ra_deg=math.nan)).find(
        "WhereWhen/ObsDataLocation/ObservationLocation/AstroCoords"
    )
    assert coordinates.find("Position2D") is None and coordinates.find("Time") is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../../aaaa"},
        {"name": "261121AAAB"},
        {"name": "261121aaab\n"},
        {"isot": "../../../etc"},
        {"isot": "2026-11-21T03:12:04/../.."},
        {"isot": "2026-11-21T03:12:04.215; rm -rf"},
        {"isot": ""},
    ],
)
def test_texts_from_the_network_never_become_paths(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(BadValueError):
        write_candidate(tmp_path / "results", replace(CANDIDATE, **wrong), *arrays(), CONTEXT)
    assert list(tmp_path.rglob("*")) == []


def test_a_link_does_not_lead_out_of_the_results(tmp_path: Path) -> None:
    results, outside = tmp_path / "results", tmp_path / "outside"
    outside.mkdir()
    (results / "candidates").mkdir(parents=True)
    (results / "candidates" / CANDIDATE.isot).symlink_to(outside)
    with pytest.raises(NotAllowedError, match="outside the folders"):
        write_candidate(results, CANDIDATE, *arrays(), CONTEXT)
    assert list(outside.iterdir()) == []


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_candidate(tmp_path, CANDIDATE, *arrays(), CONTEXT)
    assert not any(path.is_file() and not path.name.startswith(".") for path in tmp_path.rglob("*"))


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    for content, error in ((b"[1]", ProtocolError), (b"\xff{", ProtocolError), (b'{"name": "x"}', BadValueError)):
        path = tmp_path / "261121aaab.json"
        path.write_bytes(content)
        with pytest.raises(error):
            read_candidate(path)


def fill(folder: Path, seconds: range, **changes: object) -> list[str]:
    times = [f"2026-11-21T03:12:{second:02d}.215" for second in seconds]
    for number, time in enumerate(times):
        one = replace(CANDIDATE, isot=time, name=f"261121aab{chr(97 + number)}", **changes)
        write_candidate(folder, one, *arrays(), CONTEXT, products=("npz",))
    return times


def test_the_oldest_gulps_are_removed_first(tmp_path: Path) -> None:
    times = fill(tmp_path, range(10, 16))
    assert Retention(most_candidates=4).apply(tmp_path) == 2
    assert sorted(path.name for path in (tmp_path / "candidates").iterdir()) == times[2:]
    assert Retention(most_candidates=4).apply(tmp_path) == 0


def test_results_stay_below_a_size(tmp_path: Path) -> None:
    times = fill(tmp_path, range(10, 15))
    one = sum(path.stat().st_size for path in (tmp_path / "candidates" / times[0]).iterdir())
    Retention(most_bytes=3 * one).apply(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 3 * one
    Retention(most_bytes=1).apply(tmp_path)
    assert [path.name for path in (tmp_path / "candidates").iterdir()] == times[-1:]


def test_only_what_was_written_here_is_removed(tmp_path: Path) -> None:
    fill(tmp_path, range(10, 13))
    (tmp_path / "candidates" / "mine").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data.txt").write_text("precious")
    (tmp_path / "candidates" / "2020-01-01T00:00:00.000").symlink_to(elsewhere)
    Retention(most_candidates=1).apply(tmp_path)
    assert (elsewhere / "data.txt").read_text() == "precious"
    assert (tmp_path / "candidates" / "mine").is_dir()


def test_names_go_on_after_a_restart(tmp_path: Path) -> None:
    names = CandidateNames(tmp_path)
    assert [names.next(CANDIDATE.isot) for _ in range(3)] == ["261121aaaa", "261121aaab", "261121aaac"]
    again = CandidateNames(tmp_path)
    assert again.next("2026-11-22T00:00:00.000") == "261122aaaa"
    assert again.next(CANDIDATE.isot) == "261121aaad"


def test_names_of_files_count_when_the_list_of_names_is_lost(tmp_path: Path) -> None:
    written(tmp_path, replace(CANDIDATE, name="261121azzz"))
    assert CandidateNames(tmp_path).next(CANDIDATE.isot) == "261121baaa"
    (tmp_path / STATE_FILE).write_bytes(b"\xff\x00garbage\n")
    assert CandidateNames(tmp_path).next(CANDIDATE.isot) == "261121baaa"


def test_a_day_has_26_to_the_fourth_names(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text("261121zzzy\n")
    names = CandidateNames(tmp_path)
    assert names.next(CANDIDATE.isot) == "261121zzzz"
    with pytest.raises(RangeError, match="all 456976 names of the day 261121"):
        names.next(CANDIDATE.isot)


def test_names_rise_as_letters_do(tmp_path: Path) -> None:
    names = CandidateNames(tmp_path)
    given_names = [names.next(CANDIDATE.isot) for _ in range(60)]
    assert all(before < after for before, after in itertools.pairwise(given_names))
    assert given_names[26] == "261121aaba"


def test_a_modified_julian_day_is_a_time() -> None:
    assert isot(51544.5) == "2000-01-01T12:00:00.000000"
    assert isot(GULP_MJD)[:22] == "2026-11-21T03:12:04.21"
