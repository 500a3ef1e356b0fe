"""The repository for Triton: it follows Triton's own schema, and its networks give what the bundle's give."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.engine.fake_bundle import fake_bundle, fake_spec
from tests.engine.tiny_bundle import PATCH_ZYX, write_network, write_tiny_bundle

from flare_trt.engine.apps.cli import main
from flare_trt.engine.model.bundle import open_bundle
from flare_trt.engine.model.bundle_writer import write_bundle
from flare_trt.engine.model.spec import NetworkFile

pytest.importorskip("onnx")
CLIENTS = Path(__file__).resolve().parents[2] / "build" / "triton-client"


@pytest.fixture(scope="session")
def schema() -> ModuleType:
    """model_config_pb2 of Triton's client, without the client's own requirements."""
    found = sorted(CLIENTS.glob("[0-9]*/tritonclient/grpc/model_config_pb2.py"))
    if not found:
        pytest.skip("Triton's client is not unpacked here; make test does that")
    spec = importlib.util.spec_from_file_location("model_config_pb2", found[-1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages, two folds in the fine one."""
    folder = tmp_path_factory.mktemp("model")
    with open_bundle(write_tiny_bundle(folder / "tiny")) as tiny:
        spec = tiny.spec
    fine = replace(spec.fine, networks=(NetworkFile("fine_fold_0.onnx"), NetworkFile("fine_fold_1.onnx")), orientation="SPL")
    coarse = replace(spec.fine, networks=(NetworkFile("coarse.onnx"),), spacing_mm=(6.0, 4.0, 4.0))
    network = write_network(folder / "net.onnx")
    files = dict.fromkeys(["fine_fold_0.onnx", "fine_fold_1.onnx", "coarse.onnx"], network)
    write_bundle(replace(spec, fine=fine, coarse=coarse), files, folder / "cascade.zip")
    return folder / "cascade.zip"


@pytest.fixture(scope="session")
def repository(cascade: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triton") / "repository"
    assert main(["export", "triton", str(cascade), "-o", str(folder)]) == 0
    return folder


def test_one_model_a_network(repository: Path) -> None:
    files = sorted(path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file())
    models = ["coarse", "fine_fold_0", "fine_fold_1"]
    assert files == sorted(["README.md", "bundle.json", *(f"{m}/{f}" for m in models for f in ("1/model.onnx", "config.pbtxt"))])


def test_configs_keep_to_the_schema(repository: Path, schema: ModuleType) -> None:
    from google.protobuf import text_format

    for path in repository.glob("*/config.pbtxt"):
        config = text_format.Parse(path.read_text(), schema.ModelConfig())
        assert (config.name, config.platform, config.max_batch_size) == (path.parent.name, "onnxruntime_onnx", 0)
        (taken,), (given,), (group,) = config.input, config.output, config.instance_group
        assert (taken.name, list(taken.dims)) == ("x", [1, 1, *PATCH_ZYX])
        assert (given.name, list(given.dims)) == ("y", [1, 4, *PATCH_ZYX])
        assert {schema.DataType.Name(tensor.data_type) for tensor in (taken, given)} == {"TYPE_FP32"}
        assert (group.count, group.KIND_AUTO) == (1, group.kind)
        with pytest.raises(text_format.ParseError):
            text_format.Parse(path.read_text().replace("KIND_AUTO", "KIND_CARD"), schema.ModelConfig())


def test_the_networks_run_under_the_names_and_shapes_of_their_config(repository: Path, cascade: Path) -> None:
    import onnxruntime

    tile = np.random.default_rng(5).normal(size=(1, 1, *PATCH_ZYX)).astype(np.float32)
    with open_bundle(cascade) as bundle:
        for name in ("coarse", "fine_fold_0"):
            ours, theirs = (
                onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["y"], {"x": tile})[0]
                for path in (bundle.folder / f"{name}.onnx", repository / name / "1" / "model.onnx")
            )
            np.testing.assert_array_equal(ours, theirs)


def test_the_readme_tells_what_the_client_does(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert "| `coarse` | `x` float32 1 x 1 x 16 x 24 x 20 | `y` float32 1 x 4 x 16 x 24 x 20 |" in text
    assert text.index("## Stage coarse") < text.index("Resample to 6 x 4 x 4 mm") < text.index("## Stage fine")
    fine = text[text.index("## Stage fine") :]
    for words in (
        "run SPL",
        "-200 .. 300 HU, subtract 40, divide by 120",
        "3 x 2 x 2 mm",
        "`fine_fold_0`, `fine_fold_1`, averaging",
    ):
        assert words in fine
    assert "stand for the labels 0, 1, 2, 3" in fine
    assert "| 3 | aorta |" in text


def test_what_the_readme_says_of_tensorrt_keeps_to_the_schema(repository: Path, schema: ModuleType) -> None:
    from google.protobuf import text_format

    text = (repository / "README.md").read_text()
    config = text_format.Parse(text[text.index("    optimization {") : text.index("or build a plan")], schema.ModelConfig())
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == ("tensorrt", {"precision_mode": "FP32"})


def test_regions_are_painted_not_compared(cascade: Path) -> None:
    from flare_trt.export.triton_readme import readme

    with open_bundle(cascade) as bundle:
        spec = bundle.spec
    assert "channels whose logit is over 0" in readme(replace(spec, coarse=None, fine=replace(spec.fine, activation="regions")), [])


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_what_is_there_is_left_alone(cascade: Path, tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "repository"
    mine = target / "mine" if taken == "folder" else target
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    assert main(["export", "triton", str(cascade), "-o", str(target)]) == 1
    assert "expected a new or an empty folder" in capsys.readouterr().err
    assert mine.read_text() == "mine"


def test_a_network_that_triton_could_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = fake_bundle(tmp_path / "fake", fake_spec())
    assert main(["export", "triton", str(bundle), "-o", str(tmp_path / "out")]) == 1
    assert "fine.onnx has 0 inputs and 0 outputs" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake"]
