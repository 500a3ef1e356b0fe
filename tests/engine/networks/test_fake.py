"""The logits of the fake network by hand, and its file as the package onnx reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.base.errors import BundleError, DeviceError
from flare_trt.engine.networks.fake import open_session, write_fake_network
from flare_trt.engine.networks.session import SessionOptions
from tests.engine.networks.test_backends import PATCH, conv_net


def test_logits_are_the_negative_squared_distance_to_each_centre(tmp_path: Path) -> None:
    session = open_session(write_fake_network(tmp_path / "f.onnx", (1, 1, 3), 5), SessionOptions())
    assert (session.input_shape, session.channels) == ((1, 1, 1, 1, 3), 5)
    found = session.run(np.array([-1.5, 0.0, 3.0], np.float32).reshape(1, 1, 1, 1, 3))
    wanted = [[-0.25, -4, -25], [-0.25, -1, -16], [-2.25, 0, -9], [-6.25, -1, -4], [-12.25, -4, -1]]  # centres -2, -1, 0, 1, 2
    np.testing.assert_array_equal(found, np.array(wanted, np.float32).reshape(5, 1, 1, 3))


def test_the_file_is_an_onnx_model_with_an_empty_graph(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(write_fake_network(tmp_path / "f.onnx", (16, 24, 20), 3)))
    assert json.loads(model.doc_string) == {"input_shape": [1, 1, 16, 24, 20], "channels": 3}
    assert model.HasField("graph")
    assert not model.graph.node


def test_what_is_no_fake_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="backend fake: got device cuda:0, expected cpu"):
        open_session(tmp_path / "f.onnx", SessionOptions("cuda:0"))
    pytest.importorskip("onnx")
    with pytest.raises(BundleError, match=r"real\.onnx: not a fake network \(it holds a real network\); use another backend"):
        open_session(conv_net(tmp_path / "real.onnx", [1, 1, *PATCH]), SessionOptions())
    with pytest.raises(ValueError, match=r"got a description of \d+ bytes, expected at most 127"):
        write_fake_network(tmp_path / "f.onnx", (10**40, 10**30, 10**30), 3)
