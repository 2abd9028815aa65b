"""The simulated nodes: what they send is what they say, and what goes wrong with them is seen."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest

from devices.core.errors import ConfigurationError
from devices.correlator.gulp import GulpShape
from devices.pipelines.search.band import Band
from devices.simulators.correlator.settings import NodeSettings
from devices.simulators.correlator.simulator import simulate
from devices.simulators.correlator.sky import Sky
from tests.ingest.station import Station, serving

SHAPE = GulpShape(channels=4, samples=10, size=24)
QUICK = {
    "nodes": 4, "samples": 10, "size": 24, "sample_s": 0.134, "rate": 50.0, "gulps": 6, "pulse_every_s": 0.0,
    "begin": "2026-11-21T03:12:04.215", "behind_gulps": 1e6,
}  # fmt: skip


def sent_to(settings: dict, policy: dict | None = None, **served):
    """What the nodes say that they sent, and the station that they sent it to."""

    async def run():
        async with serving(SHAPE, {"wait_s": 60.0, "open_gulps": 8, **(policy or {})}, slots=9, **served) as station:
            sent = await simulate(NodeSettings(server=f"127.0.0.1:{station.port}", **(QUICK | settings)))
            station.assembler.end_all()
            return sent, station

    return asyncio.run(run())


def times(station: Station) -> list[str]:
    return [gulp.isot for gulp in station.gulps]


def test_nodes_send_every_gulp_of_their_sub_bands():
    sent, station = sent_to({"sigma": 2.0})
    assert (sent.accepted, sent.sends, sent.refused) == (24, 24, 0)
    assert times(station)[:2] == ["2026-11-21T03:12:04.215", "2026-11-21T03:12:05.555"]
    cubes = np.stack([gulp.cube for gulp in station.gulps])
    # 6 x 4 x 10 x 24 x 24 values: their standard deviation is known to 0.2 %.
    assert np.std(cubes) == pytest.approx(2.0, rel=0.01) and abs(np.mean(cubes)) < 0.03
    # Channels of a gulp, and gulps, have noise of their own: 5760 products scatter by 1.3 %.
    for one, other in ((cubes[0, 0], cubes[0, 1]), (cubes[0, 2], cubes[1, 2])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.07
    assert (station.gulps[0].uv_diag_m, station.gulps[0].dec_deg) == (382.0, 71.6)


def test_a_pulse_comes_as_it_is_told(tmp_path):
    truth = tmp_path / "truth" / "pulses.jsonl"
    # 0.1 MHz over 4 sub-bands: 1493 to 1458 MHz. DM 4000 leads by 4.1488 x 4000 x (1.4577^-2 - 1.4929^-2) ms = 0.363 s.
    options = {
        "sigma": 0.001,
        "pulse_every_s": 3.0,
        "dm_most": 4000.0,
        "width_most": 3,
        "gulps": 8,
        "truth": str(truth),
    }
    _, station = sent_to(options)
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(told) >= 2
    cube = np.concatenate([gulp.cube for gulp in station.gulps], axis=1)
    band = Band.dsa110(4, 0.134)
    for pulse in told:
        arrival = pulse["gulp"] * 10 + pulse["sample"]
        assert pulse["mjd"] == pytest.approx(station.gulps[0].mjd + arrival * 0.134 / 86400, abs=1e-8)
        assert pulse["isot"] == station.gulps[pulse["gulp"]].isot
        assert pulse["amplitude"] == pytest.approx(pulse["snr"] * 0.001 / math.sqrt(4 * pulse["width"]))
        for channel, lead in enumerate(band.lead_samples(pulse["dm"])):
            first = math.floor(arrival - lead)
            series = cube[channel, first : first + pulse["width"] + 1, pulse["y"], pulse["x"]]
            # The pulse lies in these samples whole; noise adds 0.001 each.
            total = pulse["amplitude"] * pulse["width"]
            assert np.sum(series) == pytest.approx(total, abs=0.01), (pulse, channel)


def test_a_point_source_has_the_width_that_is_set():
    sky = Sky(NodeSettings(**(QUICK | {"sigma": 1e-6, "pulse_every_s": 3.0, "fwhm_px": 4.0, "snr_least": 20.0})))
    pulse = sky.pulse(0)
    gulp = int(pulse.arrival // 10)
    image = np.max([np.concatenate(sky.image(each, 3)) for each in (gulp, gulp + 1)], axis=(0, 3))
    middle = image[pulse.y, pulse.x]
    assert image[pulse.y + 2, pulse.x] == pytest.approx(middle / 2, rel=0.2)
    assert image[pulse.y, pulse.x - 2] == pytest.approx(middle / 2, rel=0.2)


def test_interference_is_everywhere_at_once():
    sky = Sky(NodeSettings(**(QUICK | {"rfi_every_s": 1.34, "rfi_sigma": 8.0})))
    for node in range(4):
        (image,) = sky.image(3, node)
        spread = np.std(image, axis=(0, 1))
        # A cosine of 8 sigma has 5.7 of them, with the noise 5.8.
        assert np.max(spread) == pytest.approx(5.8, rel=0.1)
        assert np.sum(spread > 2.0) == 1
    assert len({int(np.argmax(np.std(sky.image(3, node)[0], axis=(0, 1)))) for node in range(4)}) == 1


def test_faults_are_seen_by_the_ingest():
    sent, station = sent_to({"corrupt_first": 2})
    assert sent.accepted == 24 and sent.sends == 24 + 4 * 2
    assert all((node.refused, node.resent, node.stored) == (2, 2, 6) for node in station.nodes)
    assert len(station.gulps) == 6

    sent, station = sent_to({"duplicate_share": 1.0})
    assert len(station.gulps) == 6 and station.assembler.counts.duplicate == 24
    assert sent.accepted == 48

    sent, station = sent_to({"missing_nodes": (2,)})
    assert [gulp.present.tolist() for gulp in station.gulps] == [[True, True, False, True]] * 6
    assert station.nodes[2].stored == 0 and math.isnan(station.nodes[2].last_seen_unix)

    sent, station = sent_to({"late_nodes": (1,), "late_s": 1.5, "gulps": 2}, {"wait_s": 0.1})
    assert [gulp.present.tolist() for gulp in station.gulps] == [[True, False, True, True]] * 2
    assert station.nodes[1].late == sent.receipts[8] == 2


def test_a_slow_node_is_ended_and_costs_no_other():
    options = {"slow_nodes": (3,), "slow_bytes_per_s": 20_000.0, "gulps": 1}
    sent, station = sent_to(options, request_s=0.2)  # 46 kB take it 2.3 s
    assert sent.receipts[2] == 1 and sent.accepted == 3
    assert station.gulps[0].present.tolist() == [True, True, True, False]


def test_one_client_plays_all_nodes():
    sent, station = sent_to({"one_client": True, "datasize": 4}, one_client=True, datasize=4)
    assert sent.accepted == 24 and all(gulp.present.all() for gulp in station.gulps)


def test_wrong_options_are_told_all_at_once():
    with pytest.raises(ConfigurationError) as told:
        NodeSettings.of({"nodes": "0", "noodles": "1", "only": "1-x", "multiport": "perhaps", "datasize": "7"})
    assert len(told.value.problems) == 5
    with pytest.raises(ConfigurationError, match="there is no node 16 of 16"):
        NodeSettings.of({"missing_nodes": "3,16"})
    found = NodeSettings.of({"only": "0-2 7", "size": "64", "rate": "2.5", "pointing": "false"})
    assert (found.sub_bands, found.size, found.rate, found.pointing) == ((0, 1, 2, 7), 64, 2.5, False)
