"""Entries for happi's JSON database, which make the classes of a generated file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from servers.sequencers.subject import Subject


def generate(subjects: Sequence[Subject], module: str, via: str) -> str:
    """The JSON text of a happi database.

    Args:
        module: the import name of the file that ``--ophyd`` or ``--ophyd-async`` made.
        via: ca (which ophyd and ophyd-async take), pva or tango.
    """
    items = {subject.name: _item(subject, module, via) for subject in subjects}
    return json.dumps(items, indent=1, sort_keys=True) + "\n"


def _item(subject: Subject, module: str, via: str) -> dict[str, Any]:
    prefix = subject.interface.pv_prefix
    return {
        "_id": subject.name,
        "active": True,
        "args": ["{{prefix}}"],
        "device_class": f"{module}.{subject.class_name}",
        "documentation": f"{subject.device}: {subject.interface.doc.splitlines()[0]}",
        "kwargs": {"name": "{{name}}"},
        "name": subject.name,
        "prefix": {"ca": prefix, "pva": f"pva://{prefix}", "tango": subject.trl}[via],
        "type": "OphydItem",
    }
