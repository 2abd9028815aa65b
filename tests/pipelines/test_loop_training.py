"""The networks: trained again they are the same, and their file is small and plain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from devices.pipelines.loop.network import SHIPPED, load_networks, save_networks
from devices.pipelines.loop.train import TrainSettings, make_views, train

FEW = TrainSettings(seed=3, scenes=6, whole_steps=3, close_steps=3, batch=4)


def test_the_same_settings_give_the_same_networks(tmp_path: Path) -> None:
    first, second = train(FEW), train(FEW)
    for one, other in zip(first, second, strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    save_networks(tmp_path / "few.npz", *first, record="{}")
    pictures = torch.linspace(-1.0, 1.0, 48 * 72).reshape(1, 1, 48, 72)
    with torch.inference_mode():
        for one, other in zip(first, load_networks(tmp_path / "few.npz"), strict=True):
            assert torch.allclose(one(pictures)[0], other(pictures)[0], atol=5e-3)


def test_training_pictures_have_their_points_where_the_loop_is() -> None:
    wholes, closes = make_views(FEW)
    assert wholes.pictures.shape == (12, 120, 176)
    assert closes.pictures.shape == (18, 48, 72)
    for views in (wholes, closes):
        loops = views.classes < 2
        assert loops.any()
        tip, root, top, bottom = (views.points[loops, index] for index in range(4))
        assert np.isfinite(tip).all()
        assert (np.nan_to_num(root[:, 0], nan=-1.0) < tip[:, 0]).all()
        assert (np.nan_to_num(top[:, 1], nan=-1.0) < np.nan_to_num(bottom[:, 1], nan=2.0)).all()


def test_the_shipped_file_is_below_a_megabyte_and_holds_numbers_only() -> None:
    assert SHIPPED.stat().st_size < 1_000_000
    with np.load(SHIPPED, allow_pickle=False) as file:
        assert {file[name].dtype.kind for name in file.files} <= {"f", "U"}
