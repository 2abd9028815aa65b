"""A panel with every widget, and PVs for it. `python -m tests.page.gallery` serves it for a look."""

from __future__ import annotations

import time

import numpy as np

from tests.page.fake_server import FakeServer, Update, array_update
from tests.page.panel_text import open_action, panel, widget, write_action

TEMPERATURE = {
    "vtype": "VDouble",
    "value": 4.213,
    "units": "K",
    "precision": 3,
    "min": 0.0,
    "max": 10.0,
    "warn_low": 2.0,
    "warn_high": 7.0,
    "alarm_low": 1.0,
    "alarm_high": 8.5,
    "description": "Temperature of input A",
    "readonly": True,
}
SETPOINT = {
    "vtype": "VDouble",
    "value": 4.2,
    "units": "K",
    "precision": 2,
    "min": 0.0,
    "max": 10.0,
    "drive_low": 0.0,
    "drive_high": 10.0,
    "description": "Set point of loop 1",
}
MODE = {"vtype": "VEnum", "value": 1, "text": "PID", "labels": ["Off", "PID", "Manual", "Table"]}
SWITCH = {"vtype": "VEnum", "value": 1, "text": "On", "labels": ["Off", "On"]}


def saxs() -> tuple[np.ndarray, np.ndarray]:
    """Rings on a background that falls with the scattering vector."""
    q = np.linspace(0.02, 2.0, 500)
    intensity = 2e3 / (1 + (q / 0.08) ** 3) + 5
    for order in range(1, 8):
        intensity += 60 / order * np.exp(-(((q - 0.1076 * order) / 0.008) ** 2))
    return q, intensity


def detector(rows: int = 300, columns: int = 420) -> np.ndarray:
    """Silver behenate rings, uint16, brightest off the middle."""
    y, x = np.mgrid[0:rows, 0:columns]
    radius = np.hypot(x - 150, y - 120)
    rings = sum(4000 / k * np.exp(-(((radius - 45 * k) / 4) ** 2)) for k in range(1, 7))
    noise = np.random.default_rng(5).poisson(40, (rows, columns))
    return (rings + 3000 * np.exp(-radius / 18) + noise).clip(0, 65535).astype(np.uint16)


def pvs() -> dict[str, Update]:
    q, intensity = saxs()
    return {
        "T:A": TEMPERATURE,
        "T:MINOR": {**TEMPERATURE, "value": 7.31, "severity": "MINOR", "status": "HIGH"},
        "T:MAJOR": {**TEMPERATURE, "value": 9.02, "severity": "MAJOR", "status": "HIHI"},
        "T:INVALID": {**TEMPERATURE, "value": "NaN", "severity": "INVALID", "status": "the sensor is open"},
        "T:LOST": {**TEMPERATURE, "connected": False, "reason": "the device server does not answer"},
        "T:STALE": {**TEMPERATURE, "period": 1.0},
        "SP": SETPOINT,
        "MODE": MODE,
        "ON": SWITCH,
        "OFF": {**SWITCH, "value": 0, "text": "Off"},
        "BITS": {"vtype": "VInt", "value": 0b10110101},
        "TEXT": {"vtype": "VString", "text": "exposure 12 of 30"},
        "PROGRESS": {"vtype": "VDouble", "value": 62.0, "min": 0.0, "max": 100.0, "units": "%", "precision": 0},
        "Q": {**array_update(q), "readonly": True},
        "I": {**array_update(intensity), "readonly": True},
    }


def caption(x: float, y: float, text: str) -> str:
    return widget("label", x, y, 190, 16, text=text, font="Fine Print")


def place(kind: str, column: float, row: float, what: str, width: float, height: float, /, **properties: object) -> str:
    x, y = 20 + column * 210, 16 + row * 80
    return caption(x, y, what) + widget(kind, x, y + 18, width, height, **properties)


TABS = """<tab><name>Loop 1</name><children>{}</children></tab><tab><name>Loop 2</name><children></children></tab>"""


def gallery() -> dict[str, str]:
    lamp = {"off_color": "Off", "on_color": "On"}
    curve = {"name": "I(q)", "x_pv": "Q", "y_pv": "I", "color": (30, 100, 170), "line_width": 2}
    x_axis = {"title": "q / nm-1", "autoscale": True, "log_scale": False, "minimum": 0, "maximum": 2, "show_grid": True}
    y_axis = {**x_axis, "title": "I / counts", "log_scale": True}
    widgets = [
        place("label", 0, 0, "label", 190, 26, text="Cryostat, loop 1", font="Header 2"),
        place("textupdate", 1, 0, "textupdate", 150, 24, pv_name="T:A"),
        place("textupdate", 2, 0, "MINOR", 150, 24, pv_name="T:MINOR"),
        place("textupdate", 3, 0, "MAJOR", 150, 24, pv_name="T:MAJOR"),
        place("textupdate", 4, 0, "INVALID", 150, 24, pv_name="T:INVALID"),
        place("textupdate", 5, 0, "disconnected", 180, 24, pv_name="T:LOST"),
        place("textupdate", 0, 0.8, "stale", 150, 24, pv_name="T:STALE"),
        place("textentry", 1, 0.8, "textentry", 150, 26, pv_name="SP"),
        place("spinner", 2, 0.8, "spinner", 150, 26, pv_name="SP", increment=0.1),
        place("combo", 3, 0.8, "combo", 150, 30, pv_name="MODE"),
        place("bool_button", 4, 0.8, "bool_button", 150, 30, pv_name="ON", **lamp),
        place("textentry", 5, 0.8, "textentry, disconnected", 180, 26, pv_name="T:LOST"),
        place("choice", 0, 1.65, "choice", 190, 32, pv_name="MODE"),
        place("radio", 1, 1.65, "radio", 190, 24, pv_name="ON"),
        place("checkbox", 2, 1.65, "checkbox", 150, 24, pv_name="ON", label="Heater armed"),
        place("slide_button", 3, 1.65, "slide_button", 150, 26, pv_name="ON", label="Shutter"),
        place("action_button", 4, 1.65, "action_button", 150, 32, text="Control off", actions=write_action("ON", 0)),
        place("action_button", 5, 1.65, "open_display", 180, 32, text="Detector", actions=open_action("child.bob")),
        place("led", 0, 2.5, "led", 26, 26, pv_name="ON"),
        widget("led", 60, 234, 26, 26, pv_name="OFF"),
        widget("led", 100, 234, 26, 26, pv_name="T:LOST"),
        widget("led", 140, 234, 60, 26, pv_name="ON", square=True, on_label="OPEN", off_label="SHUT"),
        place(
            "multi_state_led",
            1,
            2.5,
            "multi_state_led",
            90,
            26,
            pv_name="MODE",
            square=True,
            states=(
                "<state><value>0</value><label>OFF</label><color><color name='Off'/></color></state>"
                "<state><value>1</value><label>PID</label><color><color name='On'/></color></state>"
            ),
        ),
        place("byte_monitor", 2, 2.5, "byte_monitor", 184, 22, pv_name="BITS", **lamp),
        place("progressbar", 3, 2.5, "progressbar", 184, 22, pv_name="PROGRESS", fill_color="On"),
        place("scaledslider", 4, 2.5, "scaledslider", 390, 50, pv_name="SP", increment=0.1),
        place("tank", 0, 3.4, "tank", 110, 190, pv_name="T:A", fill_color="On", show_alarm_limits=True),
        place("meter", 1, 3.4, "meter", 190, 130, pv_name="T:A", needle_color="Text"),
        place(
            "progressbar",
            1,
            5.3,
            "progressbar with scale",
            190,
            40,
            pv_name="T:MINOR",
            scale_visible=True,
            fill_color="On",
            show_alarm_limits=True,
        ),
        place(
            "xyplot",
            2,
            3.4,
            "xyplot",
            400,
            260,
            show_legend=True,
            title="Silver behenate",
            x_axis=x_axis,
            y_axes=[("y_axis", y_axis)],
            traces=[("trace", curve)],
        ),
        place("image", 4, 3.4, "image", 400, 260, pv_name="CAM", data_width=420, data_height=300),
        place(
            "stripchart",
            2,
            6.95,
            "stripchart",
            400,
            180,
            show_grid=True,
            start="30 seconds",
            y_axes=[("y_axis", {"title": "T / K", "autoscale": True})],
            traces=[
                ("trace", {"name": "A", "y_pv": "T:A", "color": (30, 100, 170)}),
                ("trace", {"name": "set", "y_pv": "SP", "color": (120, 120, 120)}),
            ],
            show_legend=True,
        ),
        place(
            "group",
            0,
            6.1,
            "group",
            190,
            90,
            line_color="Grid",
            children=[widget("textupdate", 4, 6, 130, 22, pv_name="T:A")],
        ),
        widget(
            "group",
            230,
            522,
            190,
            90,
            name="Title",
            style=1,
            line_color="Header_Background",
            foreground_color="Header_Foreground",
            children=[widget("textupdate", 8, 10, 130, 22, pv_name="T:MAJOR")],
        ),
        place("embedded", 0, 7.5, "embedded, N=1", 190, 66, file="child.bob", macros="<N>1</N>"),
        place("embedded", 1, 7.5, "embedded, no file", 190, 66, file="missing.bob"),
        place("tabs", 4, 6.95, "tabs", 190, 180, tabs=TABS.format(widget("textupdate", 8, 10, 130, 22, pv_name="T:A"))),
        place(
            "navtabs",
            5,
            6.95,
            "navtabs",
            200,
            180,
            direction=0,
            tab_width=70,
            tabs=(
                "<tab><name>One</name><file>child.bob</file><macros><N>1</N></macros></tab>"
                "<tab><name>Two</name><file>child.bob</file><macros><N>2</N></macros></tab>"
            ),
        ),
        place(
            "rectangle",
            0,
            8.8,
            "rectangle, ellipse, polyline, picture",
            50,
            40,
            line_width=2,
            line_color="Text",
            background_color=(200, 204, 208),
        ),
        widget("ellipse", 80, 738, 50, 40, line_width=2, line_color="Text", background_color=(200, 204, 208)),
        widget(
            "polyline",
            140,
            738,
            60,
            40,
            line_color="Text",
            line_width=2,
            arrows=2,
            arrow_length=10,
            points='<point x="0" y="36"/><point x="30" y="8"/><point x="58" y="20"/>',
        ),
        widget("picture", 214, 738, 40, 40, file="mark.svg"),
        place("thumbwheel", 1.4, 8.8, "unknown type", 100, 40),
    ]
    child = panel(
        widget("label", 6, 6, 80, 20, text="Loop $(N)"),
        widget("textupdate", 70, 4, 110, 24, pv_name="LOOP$(N)"),
        name="Child",
        width=186,
        height=60,
    )
    mark = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4H0z" fill="#789"/></svg>'
    return {
        "gallery.bob": panel(*widgets, name="Every widget", width=1290, height=800),
        "child.bob": child,
        "mark.svg": mark,
    }


def serve() -> FakeServer:
    server = FakeServer(gallery()).start()
    for pv, update in pvs().items():
        server.put(pv, **update)
    server.put("T:STALE", seconds=int(time.time()) - 42)
    for loop in (1, 2):
        server.put(f"LOOP{loop}", **{**TEMPERATURE, "value": 4.2 + loop})
    server.show("CAM", detector())
    return server


if __name__ == "__main__":
    server = serve()
    print(server.url("gallery"))
    while True:
        time.sleep(0.2)
        value = 4.2 + 0.4 * np.sin(time.time()) + 0.05 * np.random.default_rng().normal()
        server.put("T:A", value=float(value))
