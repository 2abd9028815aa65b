"""A running facility and the database that it depends on: what is kept, what survives, what is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import tango

from servers.facility.tango_database import open_database
from tests.facility.running import command
from tests.production.mariadb import DataBaseds
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import wait_until

pytestmark = [pytest.mark.production, pytest.mark.timeout(300)]

DEVICE = "cryo/cryocon/1"
SERVERS = "cryocon, saxs, daq, correlator, ccd, dcss, mirror, alarms, health"


@dataclass
class Site:
    """The demo, and the database that it runs with; None: its own."""

    facility: Facility
    production: DataBaseds | None

    @property
    def tango_host(self) -> str:
        return self.facility.environment["TANGO_HOST"]

    def kill_database(self) -> None:
        """SIGKILL; back by `restart_database`, or by the facility when it is its own."""
        if self.production:
            self.production.stop(signal.SIGKILL)
        else:
            self.facility.child("servers.facility.database").send_signal(signal.SIGKILL)

    def restart_database(self) -> None:
        if self.production:
            self.production.start()
        wait_until(lambda: "mirror/epics/1" in self.diptych("ls"), 15.0, "the database is back")

    def restart(self, *words: str) -> None:
        """Kill one process of the facility, and wait for a new one."""
        victim = self.facility.child(*words)
        victim.kill()
        victim.wait(5.0)
        wait_until(lambda: self.facility.child(*words), 10.0, f"{words} is back")

    def diptych(self, *words: str) -> str:
        done = self.facility.run("diptych", *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def kept(self, attribute: str, name: str) -> list[str]:
        """An attribute property as the database has it."""
        found = open_database(self.tango_host).get_device_attribute_property(DEVICE, [attribute])
        return list(found[attribute].get(name, []))


@pytest.fixture(scope="module", params=["MariaDB", "embedded"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    production = request.getfixturevalue("production") if request.param == "MariaDB" else None
    words = ["--tango-host", production.tango_host] if production else []
    running = Site(started(tmp_path_factory.mktemp("facility") / "state", free_offset(), *words), production)
    try:
        yield running
    finally:  # the one that runs now: the last test starts it anew
        if running.facility.process.poll() is None:
            stopped(running.facility)


def test_the_mirror_finds_the_devices_that_have_a_prefix(site: Site) -> None:
    named = site.facility.get("MIRROR1:DeviceNames")
    assert all(device in named for device in (DEVICE, "saxs/detector/1", "mirror/epics/1"))
    assert "sys/" not in named and "dserver/" not in named
    assert 3.0 < float(site.facility.get("CRYO1:TemperatureA")) < 320.0
    assert site.facility.get("CRYO1:TemperatureA.EGU") == "K"


def test_a_memorized_set_point_is_offered_after_a_restart_and_moves_no_heater(site: Site) -> None:
    site.diptych("put", DEVICE + "/setpoint_1", "79.25")
    wait_until(lambda: site.kept("setpoint_1", "__value") == ["79.25"], 5.0, "the database has it")
    site.restart("sim", "cryocon")  # the instrument loses its power, and its set point
    site.restart("serve", "cryocon")
    offered = "memorized: setpoint_1 = 79.25"
    wait_until(lambda: offered in site.diptych("get", DEVICE + "/Status"), 15.0, "it is offered")
    assert site.diptych("get", DEVICE + "/setpoint_1") != "79.25 K"
    site.diptych("call", DEVICE + "/apply_memorized", "setpoint_1")
    wait_until(lambda: site.diptych("get", DEVICE + "/setpoint_1") == "79.25 K", 5.0)


def test_bounds_and_limits_changed_by_a_client_hold_after_a_restart(site: Site) -> None:
    proxy = tango.DeviceProxy(f"tango://{site.tango_host}/{DEVICE}")
    bounded, limited = proxy.get_attribute_config("temperature_b"), proxy.get_attribute_config("rate_1")
    bounded.alarms.max_alarm = "2.5"
    limited.max_value = "12.5"
    proxy.set_attribute_config(bounded)
    proxy.set_attribute_config(limited)
    assert site.kept("temperature_b", "max_alarm") == ["2.5"]
    site.restart("serve", "cryocon")
    alarm = DEVICE + "/alarm_summary"
    wait_until(lambda: "temperature_b" in site.diptych("get", alarm), 15.0, "the bound comes from the database")
    refused = site.facility.run("diptych", "put", DEVICE + "/rate_1", "13")
    assert refused.returncode == 1 and "API_WAttrOutsideLimit" in refused.stderr
    assert "[0, 12.5]" in next(line for line in site.diptych("describe", DEVICE).splitlines() if " rate_1 " in line)


def test_a_dead_database_stops_no_reading_and_no_put_and_loses_nothing(site: Site) -> None:
    before = float(site.facility.get("MIRROR1:Uptime"))
    proxy = tango.DeviceProxy(f"tango://{site.tango_host}/{DEVICE}")  # made while there is a database to ask
    changed = proxy.get_attribute_config("temperature_c")
    changed.alarms.max_alarm = "310"

    def takes(value: str) -> bool:
        site.facility.run("caproto-put", "-c", "-w", "10", "CRYO1:Setpoint2", value)
        return site.facility.get("CRYO1:Setpoint2_RBV") == value

    # The test before has restarted its server: the mirror finds it through the database.
    wait_until(lambda: takes("81.5"), 60.0, "the mirror reaches it")
    site.kill_database()
    try:
        done = site.facility.run("caproto-put", "-c", "-w", "10", "CRYO1:Setpoint2", "88.5")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: site.facility.get("CRYO1:Setpoint2_RBV") == "88.5", 5.0)
        severity = site.facility.run(
            "caproto-get", "-d", "dbr_time", "--format", "{response.metadata.severity}", "CRYO1:TemperatureA"
        )
        assert severity.stdout.strip() == "0", severity
        if site.production:  # the embedded one may be back by now
            with pytest.raises(tango.DevFailed):
                proxy.set_attribute_config(changed)
            site.facility.run("caproto-put", "-c", "-w", "10", "MIRROR1:Reload", "1")
            reason = f"RefusedError: the Tango database at {site.tango_host} does not answer"
            found = site.facility.get("MIRROR1:Reload:Error")
            assert found.startswith(reason), found
            assert site.facility.get("CRYO1:Setpoint2") == "88.5"
    finally:
        site.restart_database()
    wait_until(lambda: site.kept("setpoint_2", "__value") == ["88.5"], 40.0, "the put of that time is stored")
    assert float(site.facility.get("MIRROR1:Uptime")) > before, "the mirror was never restarted"


def test_a_reload_finds_a_device_that_was_registered_later(site: Site) -> None:
    database = open_database(site.tango_host)
    info = tango.DbDevInfo()
    info.server, info._class, info.name = "Absent/1", "Absent", "Lab/Ab_sent/1"
    database.add_device(info)
    database.put_device_property("lab/ab_sent/1", {"pv_prefix": ["ABSENT1:"]})
    try:
        assert site.facility.run("caproto-put", "-c", "-w", "10", "MIRROR1:Reload", "1").returncode == 0
        wait_until(lambda: "lab/ab_sent/1" in site.facility.get("MIRROR1:DeviceNames").lower(), 10.0)
        assert 3.0 < float(site.facility.get("CRYO1:TemperatureA")) < 320.0
    finally:
        database.delete_server("Absent/1")
    assert site.facility.run("caproto-put", "-c", "-w", "10", "MIRROR1:Reload", "1").returncode == 0
    wait_until(lambda: "sent" not in site.facility.get("MIRROR1:DeviceNames").lower(), 10.0, "it is forgotten")


def test_doctor_finds_polling_that_the_database_switched_on(site: Site) -> None:
    database = open_database(site.tango_host)
    database.put_device_property(DEVICE, {"polled_attr": ["temperature_a", "1000"]})
    try:
        answer = site.facility.run("diptych", "doctor")
        assert f"{DEVICE} is polled by Tango (polled_attr = temperature_a 1000)" in answer.stdout, answer
    finally:
        database.delete_device_property(DEVICE, ["polled_attr"])
    assert "polled" not in site.facility.run("diptych", "doctor").stdout


def test_a_second_server_of_one_name_is_refused(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    server = ["serve", "cryocon", "--facility", "dbconfig/demo.json", "--tango-host", site.tango_host]
    for words in (server, [*server, "--background"]):
        answer = command(*words, "--state-dir", other)
        assert answer.returncode == 1
        assert answer.stderr.splitlines() == [
            f"error: cryocon runs already with the Tango database at {site.tango_host}: end it where it runs, or give "
            "this server another name"
        ]


def test_a_second_facility_of_the_same_names_is_refused_before_it_changes_anything(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = open_database(site.tango_host)
    link = list(database.get_device_property(DEVICE, "link")["link"])
    words = ["up", "dbconfig/demo.json", "--tango-host", site.tango_host, "--port-offset", free_offset()]
    answer = command(*words, "--state-dir", tmp_path_factory.mktemp("other"))
    assert answer.returncode == 1
    assert f"has these servers running already: {SERVERS}; end them" in answer.stderr
    assert list(database.get_device_property(DEVICE, "link")["link"]) == link


def test_servers_that_run_are_not_removed(site: Site) -> None:
    answer = site.facility.run("diptych", "register", "dbconfig/demo.json", "--remove")
    assert answer.returncode == 1
    servers = SERVERS
    assert f"these servers of demo.json run: {servers}; stop them first" in answer.stderr
    assert DEVICE in site.diptych("ls")


def test_everything_is_there_after_the_whole_site_was_down(site: Site) -> None:
    """The last one: it starts the facility anew."""
    state_dir, offset = site.facility.state_dir, site.facility.offset
    stopped(site.facility)
    words = []
    if site.production:
        site.production.stop()
        site.production.mariadb.stop()
        site.production.mariadb.start()
        site.production.start()
        words = ["--tango-host", site.production.tango_host]
    site.facility = started(state_dir, offset, *words)
    assert "registered" not in site.facility.output.read_text()
    assert "setpoint_2 = 88.5" in site.diptych("get", DEVICE + "/Status")
    assert "temperature_b" in site.diptych("get", DEVICE + "/alarm_summary")
    assert json.loads(site.diptych("call", DEVICE + "/memorized"))["setpoint_1"] == 79.25


def test_the_database_server_outlives_a_restart_of_mariadb(production: DataBaseds) -> None:
    database = open_database(production.tango_host)
    database.put_property("DiptychTest", {"probe": ["1"]})
    production.mariadb.stop()
    with pytest.raises(tango.DevFailed):
        database.put_property("DiptychTest", {"probe": ["2"]})
    production.mariadb.start()
    wait_until(lambda: database.put_property("DiptychTest", {"probe": ["3"]}) is None, 10.0)
    assert list(database.get_property("DiptychTest", ["probe"])["probe"]) == ["3"]
