"""Panels as .bob files: what is written is what Phoebus writes, and what is read back is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError, ProtocolError, UnknownNameError
from servers.panels.bob import from_xml, to_xml
from servers.panels.subset import Property, subset
from servers.panels.widget import Widget, display, widget

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=20).map(str.strip)
COLOR = st.one_of(
    st.sampled_from(sorted(subset().colors)),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.tuples(*[st.integers(0, 255)] * 4),
)


def values(definition: Property) -> st.SearchStrategy[Any]:
    """Any value that a property may have."""
    kind, _, argument = definition.type.partition(" ")
    plain = {
        "boolean": st.booleans(),
        "integer": st.integers(-4000, 4000),
        "double": st.floats(allow_nan=False, width=32).map(float),
        "color": COLOR,
        "font": st.sampled_from(sorted(subset().fonts)),
        "macros": st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), TEXT, max_size=2),
        "points": st.lists(st.tuples(st.floats(-9, 9, width=16), st.floats(-9, 9, width=16)), max_size=3),
        "color_map": st.sampled_from(["VIRIDIS", "GRAY"]),
        "actions": st.just([{"type": "write_pv", "pv_name": "CRYO1:Beep", "value": "1"}]),
        "widgets": st.just([widget("led", pv_name="CRYO1:Ramping1", x=5)]),
    }
    if kind == "enum":
        return st.sampled_from(subset().enums[argument])
    if kind in ("structure", "list"):
        structure = subset().structures[argument]
        one = TEXT if structure.is_text else properties(structure.properties)
        return one if kind == "structure" else st.lists(one, max_size=2)
    return plain.get(kind, TEXT)


def properties(known: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: values(definition) for name, definition in known.items()})


@pytest.mark.parametrize("name", sorted(subset().widgets))
def test_every_widget_with_any_properties_comes_back_as_it_was_written(name: str) -> None:
    @settings(max_examples=8, deadline=None)
    @given(properties(subset().widgets[name].properties))
    def check(chosen: dict[str, Any]) -> None:
        panel = display("Test", 400, 300, [Widget(name, chosen)], macros={"P": "CRYO1:"})
        text = to_xml(panel)
        again = from_xml(text)
        (inner,) = again.children()
        (before,) = panel.children()
        for key in before.properties:
            assert inner.get(key) == before.get(key)
        assert to_xml(again) == text

    check()


def test_a_label_is_written_as_phoebus_writes_it() -> None:
    panel = display(
        "A & B", 400, 300, [widget("label", text="T < 4 K", x=10, font="Header 1", foreground_color=(1, 2, 3))]
    )
    assert to_xml(panel) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<display version="2.0.0">\n'
        "  <name>A &amp; B</name>\n"
        "  <width>400</width>\n"
        "  <height>300</height>\n"
        "  <grid_visible>false</grid_visible>\n"
        '  <widget type="label" version="2.0.0">\n'
        "    <text>T &lt; 4 K</text>\n"
        "    <x>10</x>\n"
        "    <font>\n"
        '      <font name="Header 1" family="Liberation Sans" style="BOLD" size="22.0">\n'
        "      </font>\n"
        "    </font>\n"
        "    <foreground_color>\n"
        '      <color red="1" green="2" blue="3">\n'
        "      </color>\n"
        "    </foreground_color>\n"
        "  </widget>\n"
        "</display>\n"
    )


def test_a_property_that_is_its_default_is_not_written() -> None:
    assert "<height>" not in to_xml(display("T", 800, 600, [widget("label", height=20)]))


def test_an_enumeration_is_written_as_its_index() -> None:
    text = to_xml(display("T", 400, 300, [widget("label", horizontal_alignment="right")]))
    assert "<horizontal_alignment>2</horizontal_alignment>" in text


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"txt": "K"}, "a label has no property txt; did you mean text?"),
        ({"width": "wide"}, "width of a label = 'wide' is not of the type integer"),
        ({"foreground_color": (300, 0, 0)}, r"foreground_color of a label = \(300, 0, 0\) is not \(red, green, blue"),
        ({"font": "Comic"}, "font of a label = 'Comic' is not one of Default"),
        (
            {"horizontal_alignment": "middle"},
            "horizontal_alignment of a label = 'middle' is not one of left, center, right",
        ),
    ],
)
def test_a_wrong_property_is_refused_with_what_would_be_right(properties: dict[str, Any], why: str) -> None:
    with pytest.raises((BadValueError, UnknownNameError), match=why):
        widget("label", **properties)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<display version='2.0.0'><widget type='thumbwheel' version='2.0.0'/></display>", "no widget thumbwheel"),
        ("<display version='2.0.0'><rules><rule/></rules></display>", "no property rules"),
        ("<display version='2.0.0'>", "no element found"),
        ("<panel/>", "begins with <panel>"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><display version='2.0.0'><name>&a;</name></display>", "no document type"),
        ("<display version='2.0.0'><width>wide</width></display>", "wide"),
    ],
)
def test_what_is_not_a_panel_of_the_subset_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=f"x.bob: .*{why}"):
        from_xml(text, "x.bob")
