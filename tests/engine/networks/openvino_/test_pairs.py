"""Two tiles at once give what one by one gives, in the network alone and in a pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.networks.test_backends import PATCH, conv_net, tile
from tests.engine.tiny_bundle import PATCH_ZYX, write_tiny_bundle

from flare_trt.engine import segmenter as segmenter_module
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import DEFAULT_MODEL
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.networks.openvino_.backend import OpenVinoPairs
from flare_trt.engine.networks.session import RunsPairs, SessionOptions, open_session
from flare_trt.engine.segmenter import Segmenter

pytest.importorskip("openvino")


def test_pairs_are_equal_to_single_tiles_bit_by_bit(tmp_path: Path) -> None:
    net = conv_net(tmp_path / "net.onnx", [1, 1, *PATCH])
    single = open_session("openvino", net, SessionOptions(threads=2))
    pairs = open_session("openvino", net, SessionOptions(threads=2, pairs=True))
    assert not isinstance(single, RunsPairs)
    assert isinstance(pairs, RunsPairs)
    expected = [single.run(tile(seed)).copy() for seed in range(3)]
    both = pairs.run_together([tile(0), tile(1)])
    np.testing.assert_array_equal(both, expected[:2])
    np.testing.assert_array_equal(pairs.run_together([tile(2)]), expected[2:])
    np.testing.assert_array_equal(pairs.run(tile(1)), expected[1])
    np.testing.assert_array_equal(pairs.run_together([tile(1), tile(0)]), expected[1::-1])
    with pytest.raises(ValueError, match="tile"):
        pairs.run_together([tile(0), tile(1)[..., :-1]])
    pairs.close()
    with pytest.raises(ValueError, match="closed"):
        pairs.run_together([tile(0), tile(1)])


def test_a_pass_in_pairs_gives_the_same_labels(tmp_path: Path, ct: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are made within a budget that has room for them, and with more than one thread."""
    made: list[int] = []
    plain = OpenVinoPairs.run_together

    def counted(self: OpenVinoPairs, tiles: list[np.ndarray]) -> list[np.ndarray]:
        made.append(len(tiles))
        return plain(self, tiles)

    monkeypatch.setattr(OpenVinoPairs, "run_together", counted)
    bundle, labels = write_tiny_bundle(tmp_path / "tiny"), {}
    for name, options in {
        "pairs": RunOptions(device="cpu", threads=2, max_memory_mb=2000),
        "little memory": RunOptions(device="cpu", threads=2, max_memory_mb=120),
        "no budget": RunOptions(device="cpu", threads=2),
        "one thread": RunOptions(device="cpu", threads=1, max_memory_mb=2000),
    }.items():
        before = len(made)
        monkeypatch.setattr(segmenter_module, "_PAIR_BYTES_A_VOXEL", 200 * 10**6 / np.prod(PATCH_ZYX))
        with Segmenter.open(bundle, options) as segmenter:
            labels[name] = segmenter.segment(ct).labels.array
        assert (len(made) > before) == (name == "pairs")
    assert set(made) == {1, 2} or set(made) == {2}
    for found in labels.values():
        np.testing.assert_array_equal(found, labels["pairs"])


def test_the_largest_stage_decides_for_all() -> None:
    """The stages share one budget: pairs of a small coarse network must not take what the fine one needs."""
    with open_bundle(DEFAULT_MODEL) as bundle:
        coarse, fine = (2000 * np.prod(stage.patch_zyx) / 10**6 for stage in bundle.spec.stages.values())
        for megabytes, room in {coarse + 1: False, fine - 1: False, fine + 1: True}.items():
            assert segmenter_module._has_room_for_pairs(bundle.spec, RunOptions(max_memory_mb=int(megabytes))) is room
        assert not segmenter_module._has_room_for_pairs(bundle.spec, RunOptions())
