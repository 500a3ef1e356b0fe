"""The package's second model: organs as the first's, and tumours beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flare_trt.engine.apps.cli import main
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.default_model import TUMOUR_MODEL, default_model, named_model
from flare_trt.engine.model.options import RunOptions
from flare_trt.engine.phantom.synthetic_body import PhantomOptions, make_phantom
from flare_trt.engine.segmenter import Segmenter

TUMOUR = 14


def test_a_name_is_the_package_s_model_unless_something_of_that_name_lies_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_model("tumours") == TUMOUR_MODEL
    assert named_model("other") == Path("other")
    assert named_model("./tumours") == Path("tumours")
    (tmp_path / "tumours").mkdir()
    assert named_model("tumours") == Path("tumours")


def test_it_has_the_default_model_s_organs_and_one_label_more_behind_gates() -> None:
    with open_bundle(TUMOUR_MODEL) as tumours, open_bundle(default_model()) as default:
        assert tumours.spec.labels[:-1] == default.spec.labels
        assert (tumours.spec.labels[-1].value, tumours.spec.labels[-1].name) == (TUMOUR, "tumour")
        assert tumours.spec.lesion_gates is not None
        assert tumours.spec.lesion_gates.label == TUMOUR
        files = [file for stage in tumours.spec.stages.values() for file in tumours.network_files(stage)]
        assert sum(file.stat().st_size for file in files) <= 8_000_000
        coarse = [bundle.network_files(bundle.spec.coarse)[0].read_bytes() for bundle in (tumours, default)]  # type: ignore[arg-type]
        assert coarse[0] == coarse[1]


def abdomen_with_lesions() -> tuple[Volume, Volume]:
    return make_phantom(1, (52, 104, 128), (5.0, 3.0, 3.0), PhantomOptions(centre_mm=20.0, lesions=True))


def test_a_phantom_s_lesions_are_found_and_organs_elsewhere_are_the_default_model_s() -> None:
    ct, truth = abdomen_with_lesions()
    found = {}
    for bundle in (TUMOUR_MODEL, default_model()):
        with Segmenter.open(bundle, RunOptions(mode="exact", device="cpu", backend="openvino")) as segmenter:
            found[bundle] = segmenter.segment(ct).labels.array
    tumour = found[TUMOUR_MODEL] == TUMOUR
    differ = (found[TUMOUR_MODEL] != found[default_model()]) & ~tumour
    assert np.mean(differ) < 1e-3  # at the border of what is found
    real = truth.array == TUMOUR
    assert np.mean(real[tumour]) > 0.5
    assert np.mean(tumour[real]) > 0.3


def test_the_command_line_takes_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(TUMOUR_MODEL)]) == 0
    assert "tumour" in capsys.readouterr().out
