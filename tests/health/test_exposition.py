"""The text of /metrics, read back by Prometheus' own client library."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from servers.health.exposition import Metric, exposition
from servers.health.metrics import process_metrics
from servers.health.processes import ProcessFigures, ProcessState

LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)


@given(LABELS, LABELS, st.floats(allow_nan=False))
def test_every_value_and_every_label_is_read_back(first: str, second: str, value: float) -> None:
    metric = Metric("site_temperature_kelvin", "gauge", "Cold.")
    metric.add(value, input=first, place=second)
    (family,) = text_string_to_metric_families(exposition([metric]))
    assert (family.name, family.type) == ("site_temperature_kelvin", "gauge")
    (sample,) = family.samples
    assert sample.labels == {"input": first, "place": second}
    assert sample.value == value


def test_what_cannot_stand_in_a_line_is_escaped() -> None:
    metric = Metric("a", "counter", "one\ntwo \\ three")
    metric.add(1.5, path='C:\\log "x"\n')
    assert exposition([metric]) == (
        '# HELP a one\\ntwo \\\\ three\n# TYPE a counter\na{path="C:\\\\log \\"x\\"\\n"} 1.5\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.0, "3"),
        (-2.25, "-2.25"),
        (1e300, "1e+300"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_as_prometheus_reads_them(value: float, text: str) -> None:
    metric = Metric("a", "gauge", "x")
    metric.add(value)
    assert exposition([metric]).splitlines()[-1] == f"a {text}"


def test_a_metric_that_nobody_has_is_left_out() -> None:
    assert exposition([Metric("a", "gauge", "x")]) == ""
    with pytest.raises(ValueError, match="'a b' is no name"):
        exposition([Metric("a b", "gauge", "x")])


def test_processes_are_samples_and_what_has_no_pulse_has_none() -> None:
    figures = [
        ProcessFigures("cryocon", ProcessState.HUNG, 4711, 60.5, 2.25, 107_000_000, 3, 23, 46, 17, 12.5, 0.031),
        ProcessFigures("ca_repeater", ProcessState.DOWN, restarts=1),
    ]
    families = {each.name: each for each in text_string_to_metric_families(exposition(process_metrics(figures)))}

    def value(name: str, **labels: str) -> float | None:
        wanted = {"process": "cryocon", **labels}
        return next((each.value for each in families[name].samples if each.labels == wanted), None)

    assert value("diptych_process_up") == 0
    assert value("diptych_process_state", state="HUNG") == 1
    assert value("diptych_process_state", state="RUNNING") == 0
    assert value("diptych_process_cpu_seconds") == 2.25, "the parser drops _total of counters"
    assert value("diptych_process_heartbeat_age_seconds") == 12.5
    assert value("diptych_process_heartbeat_age_seconds", process="ca_repeater") is None
    assert value("diptych_process_cpu_seconds", process="ca_repeater") is None
    assert value("diptych_process_restarts", process="ca_repeater") == 1
    assert families["diptych_process_restarts"].type == "counter"
