// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { parseBob, type WidgetModel } from "../src/bob";
import { SUBSET } from "../src/subset";

const display = (body: string): string =>
  `<?xml version="1.0"?><display version="2.0.0"><name>Test</name>${body}</display>`;

function only(body: string, macros = {}): WidgetModel {
  const [widget] = parseBob(display(body), macros).widgets;
  if (!widget) throw new Error("no widget");
  return widget;
}

describe("a .bob file", () => {
  it("gives widgets with defaults of the model", () => {
    const { properties, faults } = only('<widget type="textupdate" version="2.0.0"><pv_name>A</pv_name></widget>');
    expect(faults).toEqual([]);
    expect([
      properties.text("pv_name"),
      properties.number("precision"),
      properties.option("horizontal_alignment"),
    ]).toEqual(["A", -1, "left"]);
    expect(properties.color("background_color")).toBe(SUBSET.colors.Read_Background);
  });

  it("every widget of the subset can be read without properties", () => {
    for (const type of Object.keys(SUBSET.widgets))
      expect(only(`<widget type="${type}" version="2.0.0"/>`).faults, type).toEqual([]);
  });

  it("replaces macros of panel, group and widget", () => {
    const group = only(
      `<widget type="group"><macros><N>2</N></macros><widget type="textupdate"><pv_name>$(P):Loop\${N}</pv_name>
       <width>$(W)</width></widget></widget>`,
      { P: "CRYO1", N: "1", W: "77" },
    );
    const inner = group.properties.widgets("widgets")[0];
    expect([inner?.properties.text("pv_name"), inner?.properties.number("width")]).toEqual(["CRYO1:Loop2", 77]);
  });

  it("keeps a PV name without its macro from being asked for", () => {
    const { faults } = only('<widget type="textupdate"><pv_name>$(P):A</pv_name></widget>');
    expect(faults).toEqual(['pv_name: the macro P of "$(P):A" has no value']);
  });

  it("says what is wrong, and where, and reads the rest", () => {
    const { faults, properties } = only(
      '<widget type="label"><text>hello</text><width>wide</width><transparent>yes</transparent></widget>',
    );
    expect(faults).toEqual(['width: "wide" is not a number', 'transparent: "yes" is neither true nor false']);
    expect([properties.text("text"), properties.number("width")]).toEqual(["hello", 100]);
  });

  it("keeps an unknown widget's place", () => {
    const { faults, properties } = only('<widget type="thumbwheel"><x>12</x><width>34</width></widget>');
    expect(faults).toEqual(['there is no widget of the type "thumbwheel" here']);
    expect([properties.number("x"), properties.number("width")]).toEqual([12, 34]);
  });

  it("says that rules and scripts do not run", () => {
    expect(only('<widget type="label"><rules><rule name="a"/></rules></widget>').limits).toEqual([
      "its rules do not run here",
    ]);
    expect(only('<widget type="label"><rules></rules></widget>').limits).toEqual([]);
  });

  it("that is broken or something else is an error", () => {
    expect(() => parseBob("<display><widget></display>", {})).toThrow(/this is not XML/);
    expect(() => parseBob("<html/>", {})).toThrow(/begins with <html>/);
  });
});

describe("properties", () => {
  it("of a confirmation are a flag, or which way is confirmed", () => {
    const asks = (type: string, value: string): unknown =>
      only(`<widget type="${type}"><show_confirm_dialog>${value}</show_confirm_dialog></widget>`).properties.option(
        "show_confirm_dialog",
      );
    expect(asks("action_button", "true")).toBe(true);
    expect(asks("bool_button", "2")).toBe("push");
    expect(asks("bool_button", "true")).toBe("both");
  });

  it("of a plot are structures and lists of them", () => {
    const { properties, faults } = only(
      `<widget type="xyplot" version="3.0.0"><y_axes><y_axis><title>left</title></y_axis><y_axis><log_scale>true</log_scale></y_axis>
       </y_axes><traces><trace><y_pv>$(P):I</y_pv><axis>1</axis><trace_type>2</trace_type></trace></traces></widget>`,
      { P: "SAXS1" },
    );
    expect(faults).toEqual([]);
    expect(properties.structures("y_axes").map((axis) => axis.flag("log_scale"))).toEqual([false, true]);
    const [trace] = properties.structures("traces");
    expect([trace?.text("y_pv"), trace?.number("axis"), trace?.option("trace_type")]).toEqual(["SAXS1:I", 1, "step"]);
  });

  it("of actions are writes, panels, pages; programs are refused", () => {
    const { properties } = only(
      `<widget type="action_button"><pv_name>A</pv_name><actions execute_as_one="true">
       <action type="write_pv"><pv_name>$(pv_name)</pv_name><value>0</value><description>Off</description></action>
       <action type="open_display"><file>b.bob</file><macros><N>3</N></macros><target>tab</target></action>
       <action type="command"><command>rm</command><description>Run</description></action></actions></widget>`,
      { P: "X" },
    );
    expect(properties.actions("actions")).toEqual([
      { type: "write_pv", together: true, pv: "A", value: "0", description: "Off" },
      {
        type: "open_display",
        together: true,
        file: "b.bob",
        macros: { P: "X", N: "3" },
        tab: true,
        description: "Open display",
      },
      { type: "refused", together: true, description: "Run", reason: '"command" is not allowed in a browser' },
    ]);
  });

  it("that are colours may be named, plain, or wrong", () => {
    const color = (xml: string): WidgetModel =>
      only(`<widget type="label"><foreground_color>${xml}</foreground_color></widget>`);
    expect(
      color('<color name="MAJOR" red="0" green="0" blue="0"/>').properties.color("foreground_color").light,
    ).toEqual([255, 0, 0]);
    expect(
      color('<color red="10" green="20" blue="30" alpha="40"/>').properties.color("foreground_color").light,
    ).toEqual([10, 20, 30, 40]);
    expect(color('<color red="300" green="0" blue="0"/>').faults).toEqual([
      "foreground_color: red, green and blue are numbers from 0 to 255",
    ]);
  });
});
