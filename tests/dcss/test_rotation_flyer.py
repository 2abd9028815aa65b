"""A rotation of the spindle as a flyer of Bluesky: DCSS, sample camera and loop detector are simulated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
import tango
import yaml

from tests.facility.running import wait_for
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT
from tests.support.session import Session, blocks, make_files

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
for module in ("bluesky", "ophyd_async"):
    pytest.importorskip(module, reason=f"{module} is not installed")

SECTION = blocks(ROOT / "docs" / "sequencers-bluesky.md", "A rotation as a flyer")


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """That of dbconfig/dcss, whose DCSS runs no script by itself; ten pictures a second are light."""
    folder = tmp_path_factory.mktemp("dcss")
    for name in ("dcss.json", "dcss.mapping.yaml", "dcss.database.yaml"):
        shutil.copy(ROOT / "dbconfig" / name, folder)
    document = yaml.safe_load((ROOT / "dbconfig" / "dcss.facility.yaml").read_text())
    for option in ("script", "every_s", "wait_for"):
        del document["simulators"]["dcss1"]["options"][option]
    document["simulators"]["camera1"]["options"] |= {"fps": 10, "step_deg": 6}
    del document["panels"], document["history"]
    (folder / "dcss.facility.yaml").write_text(json.dumps(document))  # JSON is YAML
    running = started(folder / "state", free_offset(), file=folder / "dcss.json")
    try:
        wait_for(lambda: proxy(running, "dcss/loop/1").link == "online", 30.0, "the loop detector is known to DCSS")
        yield running
    finally:
        stopped(running)


@pytest.fixture(scope="module")
def session(facility: Facility, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("plans")
    make_files(facility, SECTION["sh"], folder)
    session = Session(facility, folder)
    yield session
    session.close()


def proxy(facility: Facility, name: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/{name}")


def shutter(facility: Facility) -> str:
    devices = {each["name"]: each for each in json.loads(proxy(facility, "dcss/client/1").table)}
    return str(devices["video_trigger"]["value"])


def test_the_rows_of_a_rotation_are_events_and_an_abort_stops_it(facility: Facility, session: Session) -> None:
    from event_model import unpack_event_page

    loop, client = proxy(facility, "dcss/loop/1"), proxy(facility, "dcss/client/1")
    began = client.position_gonio_phi
    documents = session.run(SECTION["python"])
    assert [name for name, _ in documents] == ["start", "event_page", "stop"]
    data = [event["data"] for event in unpack_event_page(documents[1][1])]
    # 90 degrees at 60 degrees a second, 10 pictures a second.
    assert 8 <= len(data) <= 30
    assert [each["rotation-index"] for each in data] == list(range(len(data)))
    for each, row in zip(data, loop.rows.splitlines(), strict=True):
        words = row.split()
        if words[1] != "normal":
            assert each["rotation-status"] == words[2]
            continue
        assert each["rotation-status"] == "normal"
        assert each["rotation-tip"] == [float(word) for word in words[2:4]]
        left, right, top, bottom = each["rotation-box"]
        assert 0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0
        assert top <= each["rotation-tip"][1] <= bottom
        assert 0.0 < each["rotation-score"] <= 1.0
    assert sum(each["rotation-status"] == "normal" for each in data) > len(data) / 2
    assert (client.position_gonio_phi - began) % 360.0 == pytest.approx(90.0, abs=0.01)
    assert shutter(facility) == "closed" and not loop.collecting

    aborted = session.aborted(
        "rotation.degrees = 3600.0\nengine(bpp.stage_wrapper(bp.fly([rotation]), [rotation]))", "start"
    )
    assert aborted[-1][1]["exit_status"] == "abort"
    wait_for(lambda: not loop.collecting, 20.0, "nothing is collected")
    wait_for(lambda: not client.moving_gonio_phi, 20.0, "the spindle stands")
    wait_for(lambda: shutter(facility) == "closed", 20.0, "the shutter is closed")
