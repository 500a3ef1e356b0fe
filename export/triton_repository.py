"""From a bundle to a model repository for NVIDIA Triton: one model a network, and what its client has to do around it.

Format: Triton's docs/user_guide/model_repository.md and model_configuration.md; the schema is model_config.proto.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_trt.engine.base.errors import ExportError, OutputError
from flare_trt.engine.model import strict_json
from flare_trt.engine.model.bundle import SPEC_FILE, Bundle, named_networks, open_bundle
from flare_trt.export.calibrate import without_int8
from flare_trt.export.triton_readme import readme


@dataclass(frozen=True)
class Tensor:
    """An input or output of a network: its name in the graph and its whole shape. Its values are float32."""

    name: str
    dims: tuple[int, ...]


def export_triton(bundle_path: Path, destination: Path) -> None:
    """Write the repository to a new or empty folder. Raises BundleError, ExportError, OutputError."""
    if destination.is_symlink() or (destination.exists() and not (destination.is_dir() and not any(destination.iterdir()))):
        raise OutputError(f"export triton: {destination} exists, expected a new or an empty folder; choose another name")
    with open_bundle(bundle_path) as bundle:
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as temporary:
                folder = Path(temporary) / "repository"
                _write(bundle, folder)
                folder.replace(destination)
        except OSError as error:
            raise OutputError(f"export triton: {destination} cannot be written: {error}; choose another place") from error


def model_config(name: str, taken: Tensor, given: Tensor) -> str:
    """A config.pbtxt. `max_batch_size` 0: the networks' batch of one is part of their fixed shape."""
    lines = [
        f'name: "{name}"',
        'platform: "onnxruntime_onnx"',
        "max_batch_size: 0",
        f"input [ {_field(taken)} ]",
        f"output [ {_field(given)} ]",
        "# one on each GPU, or one on the CPU where there is none",
        "instance_group [ { count: 1 kind: KIND_AUTO } ]",
    ]
    return "\n".join(lines) + "\n"


def _write(bundle: Bundle, folder: Path) -> None:
    rows, spec = [], bundle.spec.with_stages(without_int8)
    for file in dict.fromkeys(network.file for _, network in named_networks(spec)):
        name = file.removesuffix(".onnx")
        version = folder / name / "1"
        version.mkdir(parents=True)
        shutil.copyfile(bundle.folder / file, version / "model.onnx")
        taken, given = _tensors(bundle.folder / file)
        (folder / name / "config.pbtxt").write_text(model_config(name, taken, given), encoding="utf-8")
        rows.append(f"| `{name}` | {_shown(taken)} | {_shown(given)} |")
    (folder / SPEC_FILE).write_text(strict_json.dump(spec), encoding="utf-8")
    (folder / "README.md").write_text(readme(spec, rows), encoding="utf-8")


def _tensors(path: Path) -> tuple[Tensor, Tensor]:
    """The input and the output of an ONNX file; its weights are no inputs. Raises ExportError."""
    import onnx

    graph = onnx.load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    kinds = [value.type.tensor_type.elem_type for value in [*inputs, *graph.output]]
    if (len(inputs), len(graph.output)) != (1, 1) or set(kinds) != {onnx.TensorProto.FLOAT}:
        raise ExportError(
            f"export triton: {path.name} has {len(inputs)} inputs and {len(graph.output)} outputs of types {sorted(set(kinds))}, "
            "expected one of each, in float32; export the network again"
        )
    return _tensor(inputs[0]), _tensor(graph.output[0])


def _tensor(value: Any) -> Tensor:
    return Tensor(value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim))


def _field(tensor: Tensor) -> str:
    return f'{{ name: "{tensor.name}" data_type: TYPE_FP32 dims: [ {", ".join(map(str, tensor.dims))} ] }}'


def _shown(tensor: Tensor) -> str:
    return f"`{tensor.name}` float32 {' x '.join(map(str, tensor.dims))}"
