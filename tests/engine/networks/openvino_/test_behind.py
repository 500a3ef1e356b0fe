from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.engine.networks.separable_net import net_that_adds
from tests.engine.networks.test_backends import PATCH, conv_net, tile

from flare_trt.engine.base.errors import BundleError
from flare_trt.engine.networks.native_.added import find_added
from flare_trt.engine.networks.native_.onnx_graph import read_graph
from flare_trt.engine.networks.openvino_.behind import AddedChannels
from flare_trt.engine.networks.part import Part
from flare_trt.engine.networks.session import SessionOptions, open_session


def test_channels_are_written_behind_the_logits_that_they_are_made_of(tmp_path: Path) -> None:
    file = net_that_adds(tmp_path / "net.onnx", PATCH, ((1, 1, 1), (2, 2, 2)), 5)
    found = find_added(read_graph(file))
    assert found is not None
    behind = AddedChannels(file, found.part, SessionOptions())
    assert behind.count == 3
    whole = open_session("openvino", file, SessionOptions()).run(tile()).copy()
    logits = np.concatenate((whole[:5], np.full((3, *PATCH), np.nan, np.float32)))
    for _ in range(2):
        behind.run(tile(), logits)
        np.testing.assert_array_equal(logits[:5], whole[:5])
        np.testing.assert_allclose(logits[5:], whole[5:], atol=1e-5 * whole.std())


def test_tensors_that_openvino_does_not_show_are_told(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx", [1, 1, 8, 12, 20])
    with pytest.raises(BundleError, match=r"net\.onnx: OpenVINO does not show the tensors \['inner', 'more'\]"):
        AddedChannels(file, Part("inner", ("more",)), SessionOptions())
