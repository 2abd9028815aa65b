"""Units that change while large images are pushed."""

from __future__ import annotations

import json
from pathlib import Path

import tango

from tests.support.serving import serving, wait_until


def test_a_unit_that_changes_while_images_are_pushed_stops_nothing(tmp_path: Path) -> None:
    """Both push an event, from two threads: one with Python's interpreter lock, the other with Tango's."""
    with serving("tests.support.unit_changer:UnitChanger", "test/units/1", folder=tmp_path) as server:
        proxy = server.proxy()
        images: list[int] = []
        units: list[str] = []
        proxy.subscribe_event("image", tango.EventType.CHANGE_EVENT, lambda event: images.append(event.err))
        proxy.subscribe_event(
            "length",
            tango.EventType.ATTR_CONF_EVENT,
            lambda event: units.append("" if event.err else event.attr_conf.unit),
        )
        wait_until(lambda: images, 10.0, "subscribed")
        identity = proxy.work(150)
        wait_until(lambda: json.loads(proxy.operation_status(identity))["state"] == "DONE", 60.0, "it works on")
        assert proxy.get_attribute_config("length").unit == "mm"
        assert "um" in units and len(images) > 20
