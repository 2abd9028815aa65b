from __future__ import annotations

import psutil
import pytest

from devices.core.errors import ConfigurationError, NotAllowedError
from servers.epics.access import Access, Client, Rule, is_this_host, rules_from

HERE = Client("ca", "127.0.0.1", 40000, "console", "operator")
THERE = Client("ca", "10.1.2.3", 40000, "localhost", "root")


def test_without_rules_only_this_host_writes() -> None:
    access = Access()
    assert access.allows("CRYO1:Setpoint1", "expert", HERE)
    assert not access.allows("CRYO1:Setpoint1", "operator", THERE)


def test_every_address_of_this_machine_is_this_host() -> None:
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family.name == "AF_INET":
                assert is_this_host(entry.address)
    assert is_this_host("::1")
    assert not is_this_host("192.0.2.1")
    assert not is_this_host("localhost")  # a name is a claim


def test_a_claimed_host_never_widens_a_rule() -> None:
    access = Access([Rule(host="console")])
    assert access.allows("A", "operator", HERE)
    assert not access.allows("A", "operator", Client("ca", "10.1.2.3", 1, "console", "operator"))


def test_a_claimed_user_narrows_a_rule() -> None:
    access = Access([Rule(network="10.1.2.0/24", user="ops-*")])
    assert access.allows("A", "operator", Client("ca", "10.1.2.9", 1, "", "ops-anna"))
    assert not access.allows("A", "operator", Client("ca", "10.1.2.9", 1, "", "anna"))
    assert not access.allows("A", "operator", Client("ca", "10.1.3.9", 1, "", "ops-anna"))


def test_a_rule_may_be_for_some_pvs_and_a_level() -> None:
    access = Access([Rule(network="10.0.0.0/8", pv="CRYO1:*", level="operator")])
    assert access.allows("CRYO1:Setpoint1", "operator", THERE)
    assert not access.allows("CRYO1:LoopP1", "expert", THERE)
    assert not access.allows("CRYO2:Setpoint1", "operator", THERE)
    assert not access.allows("XCRYO1:Setpoint1", "operator", THERE)


def test_what_no_rule_allows_is_refused_with_who_asked_for_what() -> None:
    with pytest.raises(NotAllowedError, match=r"CRYO1:Setpoint1 .* 10\.1\.2\.3 \(root@localhost\)"):
        Access().demand("CRYO1:Setpoint1", "operator", THERE)
    assert not Access([]).allows("A", "operator", HERE)


def test_all_faults_of_a_rule_file_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        rules_from([{"network": "10.1.2/24"}, {"level": "god"}, {"netwrok": "this-host"}, {"user": 5}, {"pv": "A*"}])
    assert len(caught.value.problems) == 4
    assert "10.1.2/24" in caught.value.problems[0]
    assert "god" in caught.value.problems[1]
    assert "netwrok" in caught.value.problems[2]


def test_rules_come_from_a_file() -> None:
    rules = rules_from([{"network": "10.1.2.0/24", "pv": "CRYO1:*", "level": "operator"}, {}])
    assert rules == (Rule("10.1.2.0/24", pv="CRYO1:*", level="operator"), Rule())
