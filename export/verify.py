"""Checks of an exported network before a bundle is written: a valid graph, static shapes, the same logits on each backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flare_trt.engine.base.errors import BundleError, ExportError
from flare_trt.engine.model.modes import Precision
from flare_trt.engine.model.spec import BarredBackend, Check, StageSpec
from flare_trt.engine.networks.device_choice import OWN, OWN_BF16
from flare_trt.engine.networks.native_.backend import fits as own_kernels_fit
from flare_trt.engine.networks.native_.backend import has_bf16 as has_own_bf16
from flare_trt.engine.networks.session import SessionOptions, open_session
from flare_trt.export.sample_patch import noise_patch, scan_patch

Logits = NDArray[np.float32]
CheckDepth = Literal["quick", "full"]

#: Backend -> largest difference to the reference, in standard deviations of its logits; the default backend comes first. OpenVINO
#: and ONNX Runtime reach 1e-4 at 128 x 128 x 128 (docs/decisions/onnxruntime-accuracy.md). Networks whose norms ONNX Runtime sums
#: itself are farther off; there the share of labels binds.
DIFFERENCE_LIMITS = {"native": 1e-3, "openvino": 1e-3, "onnxruntime": 1e-1}
#: Share of voxels whose label may differ: promise 1 leaves 1e-4 for everything.
LABEL_LIMIT = 1e-4
#: The same where something is rounded on purpose: the weights, or all that our own kernels store in bf16.
CHANGE_LIMIT = 1e-2


@dataclass(frozen=True)
class CheckPlan:
    """How much is compared: "full" two images on each backend, "quick" one on the default backend. `tell` gets each result."""

    depth: CheckDepth = "full"
    tell: Callable[[str], None] = lambda line: None


FULL = CheckPlan()


@dataclass(frozen=True)
class Verified:
    """What was measured on the backends that may run the network, and those that may not."""

    checks: tuple[Check, ...]
    barred: tuple[BarredBackend, ...] = ()

    def __add__(self, other: Verified) -> Verified:
        """Of both networks: what one bars is barred for both."""
        return Verified(self.checks + other.checks, self.barred + other.barred)


@dataclass(frozen=True)
class Reference:
    """Where the true logits (c, z, y, x) of an input (1, c, z, y, x) come from."""

    name: str
    run: Callable[[NDArray[np.float32]], Logits]


def verify_graph(path: Path, stage: StageSpec) -> None:
    """Check the ONNX file itself: valid, standard operators, the stage's static shapes. Raises ExportError."""
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path))
    except Exception as error:  # onnx raises its own classes and protobuf's
        raise ExportError(f"{path.name}: is not a valid ONNX file: {error}") from error
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if domains:
        raise ExportError(f"{path.name}: got operators of {', '.join(sorted(domains))}, expected standard ones only")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [_shape(value) for value in model.graph.input if value.name not in weights]
    outputs = [_shape(value) for value in model.graph.output]
    expected = [(1, stage.input_channels, *stage.patch_zyx)], [(1, len(stage.channel_values), *stage.patch_zyx)]
    if (inputs, outputs) != expected:
        raise ExportError(f"{path.name}: got inputs {inputs} and outputs {outputs}, expected {expected[0]} and {expected[1]}")


def torch_reference(network: Any) -> Reference:
    """The torch network that was exported."""

    def run(image: NDArray[np.float32]) -> Logits:
        import torch

        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(image))[0].numpy())

    return Reference("torch", run)


def session_reference(path: Path, backend: str) -> Reference:
    """A backend on the file itself, where there is no torch network to compare with."""

    def run(image: NDArray[np.float32]) -> Logits:
        session = _open(backend, path)
        try:
            return np.array(session.run(image))
        finally:
            session.close()

    return Reference(backend, run)


def verify_logits(path: Path, stage: StageSpec, reference: Reference, plan: CheckPlan = FULL) -> Verified:
    """Compare the CPU backends with the reference, the default one first; `native` where it knows the network, and in bf16 too
    where this processor has the arithmetic.

    Raises ExportError where none is within its limits.
    """
    images = {"CT-like patch" if stage.intensity else "scan-like patch": scan_patch(stage), "noise": noise_patch(stage)}
    if plan.depth == "quick":
        del images["noise"]
    wanted = {}
    for name, image in images.items():
        plan.tell(f"{path.name}, {name}: {reference.name} runs, to compare with")
        wanted[name] = reference.run(image)
    backends = [name for name in DIFFERENCE_LIMITS if name != reference.name and (name != OWN or own_kernels_fit(path))]
    found: dict[str, list[Check]] = {}
    for backend in backends[:1] if plan.depth == "quick" else backends:
        run = _Run(path, stage, reference.name, plan.tell)
        found[backend] = run.checks(backend, "fp32", images, wanted)
        if backend == OWN and has_own_bf16():
            found[OWN_BF16] = run.checks(backend, "bf16", images, wanted)
    return _verdict(found)


@dataclass(frozen=True)
class _Run:
    """One network that backends run."""

    path: Path
    stage: StageSpec
    reference: str
    tell: Callable[[str], None]

    def checks(
        self, backend: str, precision: Precision, images: Mapping[str, NDArray[np.float32]], wanted: Mapping[str, Logits]
    ) -> list[Check]:
        """How far a backend's logits of each image are from the wanted ones."""
        session, found = _open(backend, self.path, precision), list[Check]()
        name = backend if precision == "fp32" else OWN_BF16
        for image_name, image in images.items():
            difference, labels = _compare(wanted[image_name], np.asarray(session.run(image)), self.stage)
            about = f"{self.path.name}, {image_name}, {name} against {self.reference}"
            limit = LABEL_LIMIT if precision == "fp32" else CHANGE_LIMIT
            checks = [Check(f"{about}: share of voxels with another label", labels, limit)]
            if precision == "fp32":
                limit = DIFFERENCE_LIMITS[backend]
                checks.insert(0, Check(f"{about}: largest difference / standard deviation", difference, limit))
            self.tell(_told(about, difference, checks))
            found += checks
        session.close()
        return found


def _told(about: str, difference: float, checks: Sequence[Check]) -> str:
    """One line while the export runs; a miss bars the backend, which should not come as a surprise at the end."""
    misses = "" if all(check.measured <= check.limit for check in checks) else "; missed, so the backend is barred"
    bound = f" (limit {checks[0].limit:g})" if len(checks) > 1 else ""
    labels = checks[-1]
    return (
        f"{about}: logits differ by {difference:.2g} of their standard deviation{bound}, labels in "
        f"{100 * labels.measured:.2g} % of voxels (limit {100 * labels.limit:g} %){misses}"
    )


def _verdict(found: Mapping[str, Sequence[Check]]) -> Verified:
    """Bars the backends that missed a limit. Raises ExportError where no other is left."""
    barred = []
    for backend, checks in found.items():
        missed = next((check for check in checks if not check.measured <= check.limit), None)
        if missed is not None:
            barred.append(BarredBackend(backend, _missed(missed)))
    if {bar.backend for bar in barred} >= found.keys() - {OWN_BF16}:
        raise ExportError(f"{barred[0].reason}; nothing was written")
    names = {bar.backend for bar in barred}
    return Verified(tuple(check for backend in found if backend not in names for check in found[backend]), tuple(barred))


def _missed(check: Check) -> str:
    return f"{check.name}: got {check.measured:.3g}, expected at most {check.limit:g}"


def verify_change(about: str, before: Any, after: Any, stage: StageSpec) -> Check:
    """What a change of a torch network's weights does to the labels of a CT-like patch. Raises ExportError where too much."""
    image = scan_patch(stage)
    _, labels = _compare(torch_reference(before).run(image), torch_reference(after).run(image), stage)
    check = Check(f"{about}: share of voxels with another label", labels, CHANGE_LIMIT)
    if not check.measured <= check.limit:
        raise ExportError(f"{_missed(check)}; nothing was written")
    return check


def _open(backend: str, path: Path, precision: Precision = "fp32") -> Any:
    try:
        return open_session(backend, path, SessionOptions(precision=precision))
    except BundleError as error:
        raise ExportError(f"{path.name}: {backend} cannot open what was exported: {error}") from error


def _compare(wanted: Logits, got: Logits, stage: StageSpec) -> tuple[float, float]:
    if wanted.shape != got.shape:
        return np.inf, 1.0
    difference = float(np.abs(got - wanted).max() / max(float(wanted.std()), 1e-12))
    regions = stage.activation == "regions"
    other = ((wanted > 0) != (got > 0)).any(axis=0) if regions else wanted.argmax(0) != got.argmax(0)
    return difference, float(other.mean())


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in value.type.tensor_type.shape.dim)
