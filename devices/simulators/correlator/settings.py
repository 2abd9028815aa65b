"""The options of the simulated nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.correlator_message import mjd_of
from devices.drivers.correlator_npy import TYPES
from devices.pipelines.search.band import SAMPLE_S

#: Option -> the least and the greatest value.
_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "nodes": (1, 100),
    "size": (8, 4096),
    "samples": (2, 1024),
    "sample_s": (1e-4, 100.0),
    "datasize": (1, 16),
    "headersize": (96, 65536),
    "rate": (0.001, 1e6),
    "gulps": (0, math.inf),
    "sigma": (0.0, 1e6),
    "fwhm_px": (0.5, 100.0),
    "uv_diag_m": (0.1, 1e5),
    "dec_deg": (-90.0, 90.0),
    "pulse_every_s": (0.0, 1e6),
    "snr_least": (0.0, 1e6),
    "snr_most": (0.0, 1e6),
    "dm_most": (0.0, 1e5),
    "width_most": (1, 256),
    "rfi_every_s": (0.0, 1e6),
    "rfi_sigma": (0.0, 1e6),
    "seed": (0, 2**31),
    "behind_gulps": (0.0, 1e9),
    "jitter_s": (0.0, 100.0),
    "late_s": (0.0, 1000.0),
    "corrupt_first": (0, 1000),
    "missing_share": (0.0, 1.0),
    "duplicate_share": (0.0, 1.0),
    "slow_bytes_per_s": (1.0, 1e9),
}
_NODE_LISTS: Final = ("only", "late_nodes", "missing_nodes", "slow_nodes")
_FLAGS: Final = ("multiport", "pointing", "one_client")


@dataclass(frozen=True)
class NodeSettings:
    """What is simulated.

    Args:
        server: HOST:PORT of the ingest. multiport: node n sends to PORT + n.
        nodes: how many sub-bands there are. only: those that this process sends; empty: all.
        size, samples, sample_s: pixels on a side; samples of a gulp, and the length of each, s.
        datasize: byte of an element, as nodes have it: 8 is float64. headersize: of the array's header, byte.
        rate: of time; 2: twice as fast as real nodes.
        gulps: so many end the simulation; 0: none do.
        begin: time of the first gulp, ``2026-11-21T03:12:04.215``; empty: now.
        sigma: of the noise of a pixel.
        fwhm_px: of a point source, pixels.
        uv_diag_m, dec_deg: what nodes say of their pointing. pointing: whether they say it.
        one_client: whether all are played by one client with the tag ``_h23``.
        pulse_every_s: of simulated time, s; 0: no pulses.
        snr_least, snr_most: significance of a pulse in its central pixel, all channels, no spatial filter, sigma.
        dm_most: greatest dispersion measure, pc/cm3. width_most: greatest width, samples.
        rfi_every_s: a ripple over the image in one sample of all channels, no dispersion, s; 0: none. rfi_sigma: its
            height, in sigma of a pixel.
        truth: file that tells each pulse in a line of JSON; empty: none.
        seed: of noise, pulses and faults.
        token_file: its first line is what the ingest asks for; empty: nothing.
        behind_gulps: a node that is further behind leaves gulps out.
        jitter_s: how far apart nodes begin to send, s. late_nodes send late_s late.
        missing_nodes send nothing; others leave missing_share of their gulps out, and send duplicate_share twice.
        corrupt_first: so many sends of each node come damaged. slow_nodes send slow_bytes_per_s.
    """

    server: str = "127.0.0.1:8843"
    multiport: bool = False
    nodes: int = 16
    only: tuple[int, ...] = ()
    size: int = 300
    samples: int = 25
    sample_s: float = SAMPLE_S
    datasize: int = 8
    headersize: int = 128
    rate: float = 1.0
    gulps: int = 0
    begin: str = ""
    sigma: float = 1.0
    fwhm_px: float = 3.0
    uv_diag_m: float = 382.0
    dec_deg: float = 71.6
    pointing: bool = True
    one_client: bool = False
    pulse_every_s: float = 30.0
    snr_least: float = 10.0
    snr_most: float = 30.0
    dm_most: float = 2000.0
    width_most: int = 8
    rfi_every_s: float = 0.0
    rfi_sigma: float = 5.0
    truth: str = ""
    seed: int = 0
    token_file: str = ""
    behind_gulps: float = 2.0
    jitter_s: float = 0.0
    late_nodes: tuple[int, ...] = ()
    late_s: float = 5.0
    missing_nodes: tuple[int, ...] = ()
    missing_share: float = 0.0
    duplicate_share: float = 0.0
    corrupt_first: int = 0
    slow_nodes: tuple[int, ...] = ()
    slow_bytes_per_s: float = 1000.0

    @property
    def gulp_s(self) -> float:
        """How long a gulp lasts, of simulated time, s."""
        return self.samples * self.sample_s

    @property
    def sub_bands(self) -> tuple[int, ...]:
        """Those that this process sends."""
        return self.only or tuple(range(self.nodes))

    @classmethod
    def of(cls, options: Mapping[str, object]) -> NodeSettings:
        """Settings from options of a facility file or a command line; lists as ``"1,5-8"``.

        Raises:
            ConfigurationError: wrong options, all of them.
        """
        known = {each.name: each.default for each in fields(cls)}
        problems = [f"unknown option {name}" for name in options.keys() - known.keys()]
        values: dict[str, object] = {}
        for name, given in options.items():
            try:
                if name in _BOUNDS:
                    values[name] = _number(given, *_BOUNDS[name], whole=isinstance(known[name], int))
                elif name in _NODE_LISTS:
                    values[name] = _nodes(str(given))
                elif name in _FLAGS:
                    values[name] = _flag(given)
                elif name in known:
                    values[name] = str(given)
            except ValueError as error:
                problems.append(f"{name} = {given}: {error}")
        if values.get("datasize", 8) not in TYPES:
            problems.append(f"datasize = {values['datasize']} byte is none of {', '.join(map(str, TYPES))}")
        if problems:
            raise ConfigurationError("simulator correlator", problems)
        found = cls(**values)  # type: ignore[arg-type]
        found._check()
        return found

    def _check(self) -> None:
        problems = []
        for name in _NODE_LISTS:
            if wrong := [node for node in getattr(self, name) if node >= self.nodes]:
                problems.append(f"{name}: there is no node {wrong[0]} of {self.nodes}")
        if self.snr_most < self.snr_least:
            problems.append(f"snr_most = {self.snr_most:g} is less than snr_least = {self.snr_least:g}")
        host, _, port = self.server.rpartition(":")
        if not (host and port.isdigit() and 0 < int(port) <= 65535):
            problems.append(f"server = {self.server} is not HOST:PORT")
        if self.begin:
            try:
                mjd_of(self.begin)
            except BadValueError as error:
                problems.append(f"begin: {error}")
        if problems:
            raise ConfigurationError("simulator correlator", problems)


def _number(given: object, least: float, most: float, *, whole: bool) -> float:
    number = int(str(given)) if whole else float(str(given))
    if not least <= number <= most:
        raise ValueError(f"outside [{least:g}, {most:g}]")
    return number


def _flag(given: object) -> bool:
    text = str(given).lower()
    if text not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text == "true"


def _nodes(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))
