"""Classifiers: the published networks' files load, the small one is right and says how sure it is."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from devices.pipelines.candidates.classify import Network, classify, load_network, save_network
from devices.pipelines.candidates.cut_out import cut_out
from devices.pipelines.candidates.networks import NETWORKS, Enhanced3DCNN, EnhancedCNN, PulseNetwork, TwoStageCNN
from devices.pipelines.candidates.simulation import RFI, simulate
from devices.pipelines.candidates.train import FAR, TrainSettings, dated, judge, report, train
from tests.pipelines.brute_search import BAND, LOOK_BACK, SAMPLES, add_pulse

#: Layers as they were published.
LAYERS_2D = {
    "conv1.weight": (64, 16, 3, 3),
    "conv2.weight": (128, 64, 3, 3),
    "conv3.weight": (256, 128, 3, 3),
    "fc1.weight": (512, 9216),
    "fc2.weight": (256, 512),
    "fc3.weight": (1, 256),
}
LAYERS_3D = {
    "conv1.weight": (64, 16, 3, 3, 3),
    "conv2.weight": (128, 64, 3, 3, 3),
    "conv3.weight": (256, 128, 3, 3, 3),
    "bn2.running_var": (128,),
    "fc1.weight": (512, 27648),
    "fc2.weight": (256, 512),
    "fc3.weight": (1, 256),
}
LAYERS_TWO_STAGE = {
    "spatcnn.conv1.weight": (64, 1, 3, 3),
    "spatcnn.fc1.weight": (512, 9216),
    "speccnn.conv3.weight": (16, 8, 3, 3),
    "speccnn.fc1.weight": (16, 96),
    "speccnn.fc2.weight": (6, 16),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("made", "layers", "weights"),
    [
        (EnhancedCNN, LAYERS_2D, 5_228_993),
        (Enhanced3DCNN, LAYERS_3D, 15_422_785),
        (TwoStageCNN, LAYERS_TWO_STAGE, 5_223_518),
    ],
)
def test_a_file_of_weights_of_a_published_network_is_used(tmp_path: Path, made, layers, weights) -> None:
    torch.manual_seed(3)
    module = made().eval()
    state = module.state_dict()
    assert {name: tuple(state[name].shape) for name in layers} == layers
    assert sum(value.numel() for value in module.parameters()) == weights
    path = tmp_path / "model_weights.pth"
    torch.save(state, path)
    network = load_network(path)
    assert (network.name, network.slope, network.offset) == (made.__name__, 1.0, 0.0)
    cutouts = simulate(3, 5).cutouts
    together = classify(cutouts, network)
    assert together.shape == (3,) and ((together > 0.0) & (together < 1.0)).all()
    np.testing.assert_allclose([classify(one[np.newaxis], network)[0] for one in cutouts], together, atol=1e-6)
    np.testing.assert_allclose(together, classify(cutouts, Network(module)), atol=1e-6)


def test_layers_of_another_shape_are_named(tmp_path: Path) -> None:
    state = EnhancedCNN().state_dict()
    state["fc1.weight"] = torch.zeros(512, 4096)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"than EnhancedCNN: fc1.weight is \(512, 4096\), not \(512, 9216\)$"):
        load_network(tmp_path / "w.pt")


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"layer1.weight": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"layers layer1\.weight; they are of none of the networks PulseNetwork"):
        load_network(tmp_path / "w.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="no state dict"):
        load_network(tmp_path / "list.pt")
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "missing.pt")


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("name", ["w.pth", "w.npz"])
def test_nothing_in_a_file_of_weights_is_executed(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(ValueError, match="holds no weights"):
        load_network(tmp_path / name)
    if name.endswith(".npz"):
        np.savez(tmp_path / name, calibration=np.array([Bomb()], object))
        with pytest.raises(ValueError, match="holds no weights"):
            load_network(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_a_network_of_images_sees_the_mean_of_the_pulses_samples() -> None:
    seen = []

    class Eye(EnhancedCNN):
        def forward(self, images):
            seen.append(images)
            return images.sum((1, 2, 3))

    cutout = np.zeros((1, 16, 25, 50, 50), np.float32)
    cutout[0, :, 12:14, 10, 30] = 1.0
    cutout[0, 3, :, 40, 5] = 1.0
    classify(cutout, Network(Eye()), np.array([2]))
    assert torch.isclose(seen[0][0, 3, 40, 5], seen[0][0, 7, 10, 30])
    assert seen[0].mean() == pytest.approx(0.0, abs=1e-5) and seen[0].std() == pytest.approx(1.0, abs=1e-3)


def test_the_shipped_network_is_small_and_says_how_it_was_trained() -> None:
    network = load_network()
    record = json.loads(network.record)
    assert isinstance(network.module, PulseNetwork)
    assert record["accuracy"] >= 0.985 and record["date"] and record["seed"] == TrainSettings().seed
    assert sum(value.numel() for value in network.module.parameters()) < 200_000


def test_the_shipped_network_is_right_about_events_it_has_not_seen() -> None:
    network = load_network()
    unseen = TrainSettings(seed=2, held_out=3000)
    found = report(judge(network.module, unseen, 0), network.slope, network.offset)
    assert found["accuracy"] >= 0.985
    # Of events with a probability of 0.8, 8 of 10 are interference.
    assert found["calibration_error"] <= 0.015
    assert all(accuracy >= 0.94 for accuracy in found["accuracy_of"].values())


def test_probabilities_do_not_depend_on_scale_offset_or_company() -> None:
    network = load_network()
    cutouts = simulate(40, 11).cutouts
    together = classify(cutouts, network)
    np.testing.assert_allclose(classify(cutouts[17:18], network), together[17:18], atol=1e-6)
    np.testing.assert_allclose(classify(40.0 * cutouts + 1000.0, network), together, atol=2e-3)
    assert classify(cutouts[:0], network).shape == (0,)


def test_a_pulse_from_a_search_is_of_the_sky_and_a_broad_flash_is_not() -> None:
    network = load_network()
    rng = np.random.default_rng(6)
    cube = rng.standard_normal((16, LOOK_BACK + SAMPLES, 40, 40), np.float32)
    add_pulse(cube, 12, 27, 814.4, 4, LOOK_BACK + 9, 15.0)
    flash = np.exp(-((np.arange(40) - 15.0) ** 2) / 200.0)
    cube[:, LOOK_BACK + 3] += 3.0 * np.outer(flash, flash).astype(np.float32)
    pulse = cut_out(cube, LOOK_BACK, 12, 27, BAND.lead_samples(814.4), 9, 4)
    broad = cut_out(cube, LOOK_BACK, 15, 15, BAND.lead_samples(0.0), 3, 1)
    # A cut-out of the whole neighbourhood is judged by its middle.
    wide = cut_out(cube, LOOK_BACK, 12, 27, BAND.lead_samples(814.4), 9, 4, size=21)
    low, high = classify(np.stack([pulse, broad]), network)
    assert low < 0.1 and high > 0.9
    assert classify(wide[np.newaxis], network)[0] == pytest.approx(low, abs=0.05)
    small = cut_out(cube, LOOK_BACK, 12, 27, BAND.lead_samples(814.4), 9, 4, size=7)
    assert classify(small[np.newaxis], network)[0] < 0.5


def test_a_band_of_four_nodes_and_missing_channels_are_judged() -> None:
    network = load_network()
    rng = np.random.default_rng(8)
    few = rng.standard_normal((1, 4, 25, 11, 11)).astype(np.float32)
    distance = (np.arange(11)[:, None] - 5) ** 2 + (np.arange(11)[None, :] - 5) ** 2
    few[0, :, 11:13] += (5.0 * np.exp(-4 * np.log(2) * distance / 9.0)).astype(np.float32)
    assert classify(few, network)[0] < 0.2
    many = np.repeat(few, 4, axis=1) + 0.5 * rng.standard_normal((1, 16, 25, 11, 11)).astype(np.float32)
    many[0, 3], many[0, 9, 4] = np.nan, np.inf
    assert classify(many, network)[0] < 0.2
    with pytest.raises(ValueError, match=r"shape \(16, 25, 11, 11\), not \(event"):
        classify(many[0], network)


def test_a_constant_cut_out_has_a_probability() -> None:
    assert 0.0 <= classify(np.ones((1, 16, 25, 11, 11), np.float32), load_network())[0] <= 1.0


@pytest.mark.long
def test_a_training_learns(tmp_path: Path) -> None:
    parts: list[float] = []
    network = train(TrainSettings(seed=5, steps=30, batch=32, held_out=320, repeated=2, threads=1), parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0
    record = json.loads(network.record)
    assert record["accuracy"] > 0.7 and record["steps_done"] == 30
    path = tmp_path / "own.npz"
    save_network(path, dated(network, "2026-11-21"))
    loaded = load_network(path)
    assert json.loads(loaded.record) == {"date": "2026-11-21"} | record
    cutouts = simulate(5, 1).cutouts
    np.testing.assert_allclose(classify(cutouts, loaded), classify(cutouts, network), atol=1e-6)


def test_a_training_is_reproducible() -> None:
    few = TrainSettings(seed=5, steps=4, batch=16, held_out=32, threads=1)
    first, second, other = train(few), train(few), train(replace(few, seed=6))
    for name, value in first.module.state_dict().items():
        torch.testing.assert_close(second.module.state_dict()[name], value, rtol=0.0, atol=0.0)
        assert not torch.equal(other.module.state_dict()[name], value)
    assert (first.slope, first.offset) == (second.slope, second.offset)


def test_a_training_can_be_stopped() -> None:
    steps = iter([False, False, True])
    network = train(TrainSettings(steps=50, batch=8, held_out=16, threads=1), stopped=lambda: next(steps))
    assert json.loads(network.record)["steps_done"] == 2


def test_simulations_are_reproducible_and_of_all_kinds() -> None:
    one, same, other = simulate(60, 4), simulate(60, 4), simulate(60, 5)
    np.testing.assert_array_equal(one.cutouts, same.cutouts)
    assert one.kinds == same.kinds and not np.array_equal(one.cutouts, other.cutouts)
    assert set(simulate(400, 4, rfi_share=0.9).kinds) == {"pulse", *RFI}
    assert [kind != "pulse" for kind in one.kinds] == one.is_rfi.tolist()
    assert np.isfinite(one.cutouts).all()
    assert ((one.snr >= 7.0) & (one.snr <= 60.0)).all()


def test_a_simulated_pulse_is_found_with_its_significance() -> None:
    events = simulate(400, 9, snr=(30.0, 30.0), rfi_share=0.0)
    summed = events.cutouts.sum(axis=1)[:, :, 5, 5]
    best = []
    for series, width in zip(summed, events.widths, strict=True):
        best.append(np.convolve(series, np.ones(width), "valid").max() / np.sqrt(16 * width))
    # In white noise the beam's pixels together have 30 sigma, its middle a third; in correlated noise it has all.
    assert 8.0 < np.median(best) < 31.0


def test_every_network_is_known_by_name() -> None:
    assert [made.__name__ for made in NETWORKS] == ["PulseNetwork", "EnhancedCNN", "Enhanced3DCNN", "TwoStageCNN"]
    assert TrainSettings().steps < FAR
