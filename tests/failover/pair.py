"""Two mirrors of one device on two addresses of this host, each with a voter, and a third voter beside the device."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VOTERS = ("lease/voter/1", "lease/voter/2", "lease/voter/3")
DEVICE, PREFIX = "bench/spectrograph/1", "SPEC1:"
ADDRESSES = ("127.0.0.1", "127.0.0.2")
#: Longer than the 3 s that are usual: on a busy machine, processes of tests stand still for seconds.
LEASE_SECONDS = float(os.environ.get("DIPTYCH_LEASE_SECONDS", "8"))
VOTER = {"properties": {"longest": [str(LEASE_SECONDS)]}}
CLASSES = {
    "Spectrograph": "tests.clients.instrument:Spectrograph",
    "EpicsMirror": "servers.epics.device:EpicsMirror",
    "LeaseVoter": "servers.epics.voter:LeaseVoter",
}


def mirror(number: int, address: str, **properties: list[str]) -> dict[str, Any]:
    """The server of one mirror: itself and its voter."""
    return {
        "EpicsMirror": {
            f"mirror/epics/{number}": {
                "properties": {
                    "pv_prefix": [f"MIRROR{number}:"],
                    "channel_access": [f"{address}:@port.ca"],
                    "ca_repeater": [f"{address}:@port.ca_repeater"],
                    "pv_access": [f"{address}:@port.pva"],
                    "pva_broadcast": [f"{address}:@port.pva_broadcast"],
                    "lease": ["facility"],
                    "lease_voters": list(VOTERS),
                    "lease_seconds": [str(LEASE_SECONDS)],
                    **properties,
                }
            }
        },
        "LeaseVoter": {f"lease/voter/{number}": VOTER},
    }


def devices() -> dict[str, Any]:
    """The server of the device and of the third voter."""
    return {
        "Spectrograph": {DEVICE: {"properties": {"pv_prefix": [PREFIX]}}},
        "LeaseVoter": {"lease/voter/3": VOTER},
    }


def write(folder: Path, name: str, servers: Mapping[str, Any], **facility: Any) -> Path:
    """The two files of a facility."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}}))
    path.with_suffix(".facility.yaml").write_text(json.dumps({"classes": CLASSES, **facility}))  # JSON is YAML
    return path


def write_pair(folder: Path) -> Path:
    """A facility with both mirrors."""
    servers = {"bench": devices(), **{f"mirror{n}": mirror(n, ADDRESSES[n - 1]) for n in (1, 2)}}
    order = ["bench", "mirror1", "mirror2"]
    return write(folder, "pair", servers, mirrors=order[1:], start_order=order)
