"""Where the panels are served and to whom: nothing is open to other hosts by an oversight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.core.errors import ConfigurationError
from servers.facility.facility_file import Facility, read_facility


def read(folder: Path, web: Any) -> Facility:
    (folder / "lab.json").write_text('{"servers": {}}')
    (folder / "lab.facility.yaml").write_text(json.dumps({"web": web}))
    for name in ("users", "tokens", "lab.crt", "lab.key"):
        (folder / name).touch()
    return read_facility(folder / "lab.json", state_dir=folder / "state", offset=100)


TLS = {"certificate": "lab.crt", "key": "lab.key"}


def test_without_the_key_the_panels_are_for_this_host_and_nobody_logs_in(tmp_path: Path) -> None:
    facility = read(tmp_path, {})
    assert facility.web.bind == "127.0.0.1"
    assert not facility.web.asks_who
    assert facility.ports.endpoint("panels") == "127.0.0.1:8180"


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        ({}, ["nobody would have to log in", "passwords would go as plain text"]),
        ({"users": "users"}, ["passwords would go as plain text"]),
        (TLS, ["nobody would have to log in"]),
        ({"tokens": "tokens", "certificate": "lab.crt"}, ["TLS needs key, too"]),
        ({"tokens": "tokens", **TLS, "behind_tls_proxy": True}, ["or at a proxy, not at both"]),
        ({"users": "user", **TLS}, ["there is no file"]),
        ({"users": "users", **TLS, "roles": {"@staff": "view"}}, ["there is no group staff"]),
        ({"users": "users", **TLS, "roles": {"anna": "admin"}}, ["'admin' is not one of"]),
        ({"users": "users", **TLS, "session": {"idle": "soon", "absolute": "0 s"}}, ["'soon'", "more than 0 s"]),
        (
            {"users": "users", **TLS, "origins": ["panels.site", "https://a/b"]},
            ["panels.site is not", "https://a/b is"],
        ),
        ({"forwarded_user": {"from": ["10.1.2"]}, "behind_tls_proxy": ["proxy"]}, ["'10.1.2'", "'proxy'"]),
        ({"forwarded_user": {"header": "X User", "from": []}, "user": "users"}, ["unknown key user", "X User", "[]"]),
        ({"anonymous": "operate", **TLS}, ["'view' was expected|'operate' is not one of"]),
    ],
)
def test_what_would_be_open_or_cannot_be_meant_is_refused_all_at_once(
    tmp_path: Path, web: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, {"bind": "10.1.2.3", **web})
    for text in expected:
        assert any(part in str(refused.value) for part in text.split("|")), str(refused.value)
    assert "lab.facility.yaml: " in str(refused.value)


@pytest.mark.parametrize(
    "web",
    [
        {"users": "users", **TLS},
        {"tokens": "tokens", "behind_tls_proxy": ["10.1.2.9"]},
        {"forwarded_user": {"from": ["10.1.2.0/24"]}, "behind_tls_proxy": True},
        {"anonymous": "view", **TLS},
    ],
)
def test_with_a_login_and_tls_the_panels_are_open_to_other_hosts(tmp_path: Path, web: dict[str, Any]) -> None:
    facility = read(tmp_path, {"bind": "0.0.0.0", **web})
    assert facility.ports.address("panels") == "0.0.0.0"
    assert facility.web.asks_who and facility.web.is_secure
    assert facility.ports.address("tango") == "127.0.0.1", "it is a matter of the panels alone"


def test_roles_groups_and_times_are_read(tmp_path: Path) -> None:
    roles = {"anna": "expert", "@staff": "operate"}
    session = {"idle": "30 min", "absolute": "8 h"}
    web = read(tmp_path, {"users": "users", "roles": roles, "groups": {"staff": ["bert"]}, "session": session}).web
    assert web.users == tmp_path / "users"
    assert (web.idle_s, web.absolute_s) == (1800.0, 28800.0)
    assert (web.roles, web.groups) == (roles, {"staff": ("bert",)})
