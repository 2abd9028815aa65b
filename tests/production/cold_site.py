"""A facility with a simulated thermometer and a mirror, on ports of its own, for those who keep it running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DEVICE = "cryo/cryocon/1"


def write_site(folder: Path) -> Path:
    """``cold.json`` with its companion."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cold.json"
    mirror = {
        **{"pv_prefix": ["MIRROR1:"], "channel_access": ["@ca"], "ca_repeater": ["@ca_repeater"]},
        **{"pv_access": ["@pva"], "pva_broadcast": ["@pva_broadcast"]},
        **{"ca_images": ["@ca_images"], "pva_images": ["@pva_images"], "audit_file": ["@state/log/audit.jsonl"]},
    }
    cryocon = {"link": ["tcp://@sim.cold"], "model": ["24C"], "pv_prefix": ["CRYO1:"]}
    servers: dict[str, Any] = {
        "cryocon": {"CryoCon": {DEVICE: {"properties": cryocon}}},
        "mirror": {"EpicsMirror": {"mirror/epics/1": {"properties": mirror}}},
    }
    path.write_text(json.dumps({"servers": {"Diptych": servers}}))
    more = {
        "classes": {"CryoCon": "devices.cryocon:CryoCon", "EpicsMirror": "servers.epics.device:EpicsMirror"},
        "simulators": {"cold": {"kind": "cryocon", "port": 5000, "options": {"model": "24C"}}},
        "mirrors": ["mirror"],
    }
    path.with_suffix(".facility.yaml").write_text(json.dumps(more))
    return path
