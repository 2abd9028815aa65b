"""VOEvents of candidates, version 2.0 (IVOA Recommendation of 11 July 2011), and their XML."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring  # written here, never read

from devices.drivers.candidate_record import CandidateContext, isot
from devices.pipelines import sky
from devices.pipelines.candidates.candidate import Candidate

NAMESPACE: Final = "http://www.ivoa.net/xml/VOEvent/v2.0"
_SCHEMA: Final = "http://www.w3.org/2001/XMLSchema-instance"


def ivorn(candidate: Candidate, context: CandidateContext) -> str:
    """The identifier of an event: a revision has one of its own."""
    return f"{context.stream}#{candidate.name}" + (f"-r{candidate.revision}" if candidate.revision else "")


def voevent(candidate: Candidate, context: CandidateContext, now: datetime | None = None) -> bytes:
    """The VOEvent of a candidate as XML; what was injected has the role "test".

    The position is left out where the nodes gave no pointing; its radius of error is half a beam. A revision
    supersedes the event before it.

    Args:
        now: when it is written; None: the present.
    """
    register_namespace("voe", NAMESPACE)
    register_namespace("xsi", _SCHEMA)
    event = Element(
        f"{{{NAMESPACE}}}VOEvent",
        {
            "ivorn": ivorn(candidate, context),
            "role": "test" if candidate.injected else "observation",
            "version": "2.0",
            f"{{{_SCHEMA}}}schemaLocation": f"{NAMESPACE} http://www.ivoa.net/xml/VOEvent/VOEvent-v2.0.xsd",
        },
    )
    _who(event, context, now or datetime.now(UTC))
    _what(event, candidate, context)
    _where_when(event, candidate, context)
    how = SubElement(event, "How")
    _text(how, "Description", "Radio images of DSA-110, de-dispersed and searched for pulses by Diptych")
    _why(event, candidate)
    if candidate.revision:
        before = f"{context.stream}#{candidate.name}" + (
            f"-r{candidate.revision - 1}" if candidate.revision > 1 else ""
        )
        _text(SubElement(event, "Citations"), "EventIVORN", before, cite="supersedes")
    indent(event)
    return bytes(tostring(event, encoding="utf-8", xml_declaration=True)) + b"\n"


def _who(event: Element, context: CandidateContext, now: datetime) -> None:
    who = SubElement(event, "Who")
    _text(who, "AuthorIVORN", context.stream)
    _text(who, "Date", now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"))
    author = SubElement(who, "Author")
    _text(author, "title", context.author)


def _what(event: Element, candidate: Candidate, context: CandidateContext) -> None:
    what = SubElement(event, "What")
    _params(
        SubElement(what, "Group", name="event parameters"),
        [
            ("dm", candidate.dm, "pc/cm^3", "phys.dispMeasure;em.radio.750-1500MHz"),
            ("width", candidate.width_s * 1000.0, "ms", "time.duration;src.var.pulse"),
            ("snr", candidate.snr, "", "stat.snr"),
            ("rfi_probability", candidate.rfi_probability, "", "stat.probability"),
            ("members", candidate.members, "", "meta.number"),
            ("revision", candidate.revision, "", "meta.version"),
            ("kind", candidate.kind, "", "meta.code"),
            ("complete", str(candidate.complete).lower(), "", "meta.code"),
            ("injected", str(candidate.injected).lower(), "", "meta.code"),
        ],
    )
    _params(
        SubElement(what, "Group", name="observatory parameters"),
        [
            ("sampling_time", context.band.sample_s * 1000.0, "ms", "time.resolution"),
            ("reference_frequency", context.band.reference_mhz, "MHz", "em.freq;instr"),
            ("top_frequency", max(context.band.frequencies_mhz), "MHz", "em.freq;instr"),
            ("channels", sum(context.present), "", "meta.number;em.freq;em.bin"),
            ("gulp", candidate.isot, "", "meta.id"),
            ("threshold", context.threshold, "", "stat.snr;stat.min"),
        ],
    )


def _where_when(event: Element, candidate: Candidate, context: CandidateContext) -> None:
    data = SubElement(SubElement(event, "WhereWhen"), "ObsDataLocation")
    site = SubElement(data, "ObservatoryLocation", id="OVRO")
    SubElement(site, "AstroCoordSystem", id="UTC-GEOD-TOPO")
    place = SubElement(SubElement(site, "AstroCoords", coord_system_id="UTC-GEOD-TOPO"), "Position3D", unit="deg-deg-m")
    for name, text in (("Name1", "longitude"), ("Name2", "latitude"), ("Name3", "elevation")):
        _text(place, name, text)
    value = SubElement(place, "Value3")
    for name, number in (("C1", sky.LONGITUDE_DEG), ("C2", sky.LATITUDE_DEG), ("C3", sky.HEIGHT_M)):
        _text(value, name, f"{number:g}")
    source = SubElement(data, "ObservationLocation")
    SubElement(source, "AstroCoordSystem", id="UTC-ICRS-TOPO")
    coordinates = SubElement(source, "AstroCoords", coord_system_id="UTC-ICRS-TOPO")
    time = SubElement(coordinates, "Time", unit="s")
    _text(SubElement(time, "TimeInstant"), "ISOTime", isot(candidate.mjd))
    _text(time, "Error", f"{0.5 * context.band.sample_s:.4f}")
    if not (math.isfinite(candidate.ra_deg) and context.pointed):
        return
    position = SubElement(coordinates, "Position2D", unit="deg")
    _text(position, "Name1", "RA")
    _text(position, "Name2", "Dec")
    value = SubElement(position, "Value2")
    _text(value, "C1", f"{candidate.ra_deg:.5f}")
    _text(value, "C2", f"{candidate.dec_deg:.5f}")
    radius = 0.5 * sky.PIXELS_PER_BEAM * math.degrees(sky.pixel_rad(context.uv_diag_m))
    _text(position, "Error2Radius", f"{radius:.5f}")


def _why(event: Element, candidate: Candidate) -> None:
    why = SubElement(event, "Why", importance="0" if candidate.injected else f"{min(candidate.snr / 50.0, 1.0):.2f}")
    _text(why, "Name", candidate.name)
    if candidate.injected:
        _text(why, "Description", "A synthetic pulse that was injected into the data: no event in the sky")
    if math.isfinite(candidate.rfi_probability):
        sure = SubElement(why, "Inference", probability=f"{1.0 - candidate.rfi_probability:.4f}", relation="identified")
        _text(sure, "Concept", "process.variation.burst;em.radio")
        _text(sure, "Description", "A pulse from the sky, not interference, by the classifier")
    else:
        _text(why, "Concept", "process.variation.burst;em.radio")


def _params(group: Element, params: list[tuple[str, float | str, str, str]]) -> None:
    for name, value, unit, ucd in params:
        if isinstance(value, float) and not math.isfinite(value):
            continue
        kind = "string" if isinstance(value, str) else "int" if isinstance(value, int) else "float"
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        attributes = {"name": name, "value": text, "dataType": kind, "ucd": ucd} | ({"unit": unit} if unit else {})
        SubElement(group, "Param", attributes)


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = text
