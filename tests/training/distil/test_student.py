"""Which weights a student is bundled with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flare_trt.engine.base.errors import InputError
from flare_trt.export.to_onnx import write_onnx
from flare_trt.training.distil.loop import new_state
from flare_trt.training.distil.network import SeparableUNet
from flare_trt.training.distil.student import Student
from tests.training.distil.distil_fixtures import tiny_config


@pytest.fixture
def mixed(tmp_path: Path) -> Student:
    """A student of a tiny teacher, a quarter of whose weights it keeps; its own are random ones."""
    plain = tiny_config()
    torch.manual_seed(7)
    network = SeparableUNet(plain.network).eval()
    for weights in network.parameters():  # the exporter drops norms that change nothing
        torch.nn.init.normal_(weights)
    write_onnx(network, plain.patch_zyx, tmp_path / "teacher.onnx")
    teacher = replace(plain.teacher, onnx=str(tmp_path / "teacher.onnx"))
    state = new_state(plain)
    state.step = 3
    state.save(tmp_path / "last.pt")
    return Student(tiny_config(teacher=teacher, start_from_teacher=True, teacher_share=0.25), tmp_path / "last.pt")


def test_a_share_of_the_teacher_stays_in_the_weights(mixed: Student) -> None:
    start = Student(mixed.config, None).network().state_dict()
    learnt = Student(replace(mixed.config, teacher_share=0.0), mixed.checkpoint).network().state_dict()
    for name, value in mixed.network().state_dict().items():
        torch.testing.assert_close(value, 0.25 * start[name] + 0.75 * learnt[name])
    assert any(not torch.equal(start[name], learnt[name]) for name in start)


def test_the_mixture_is_told(mixed: Student) -> None:
    assert mixed.origin == "the weights of the FLARE25 teacher, distilled for 3 steps and mixed with 25% of its start"


@pytest.mark.parametrize("changes", [{"teacher_share": 1.0, "start_from_teacher": True}, {"teacher_share": 0.5}])
def test_a_share_that_means_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="teacher_share: got"):
        tiny_config(**changes)
