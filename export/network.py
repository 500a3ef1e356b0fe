"""The torch network of a configuration, with a checkpoint's weights.

plans.json names classes by their dotted path and nnU-Net imports whatever stands there. Here names are looked up in tables, so
that a plans file cannot load code. Source: nnunetv2/utilities/get_network_from_plans.py, dynamic_network_architectures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flare_trt.engine.base.errors import ExportError
from flare_trt.export.configuration import Architecture

_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
_LAYERS = (
    *(f"{layer}{axes}" for axes in ("3d", "2d") for layer in ("Conv", "InstanceNorm", "BatchNorm", "Dropout")),
    *("LeakyReLU", "ReLU", "PReLU", "ELU", "GELU", "SiLU"),
)


def build_network(architecture: Architecture, heads: int, channels: int = 1) -> Any:
    """The torch module that plans.json describes: (1, channels, z, y, x) to one output, (1, heads, z, y, x). Raises ExportError."""
    from dynamic_network_architectures.architectures import unet

    name = architecture.class_name.rpartition(".")[2]
    if name not in _NETWORKS:
        raise ExportError(f"plans.json: architecture: got {architecture.class_name!r}, expected {' or '.join(_NETWORKS)}")
    kwargs = {key: _layer(key, value) if key in architecture.imported else value for key, value in architecture.kwargs.items()}
    try:
        network = getattr(unet, name)(input_channels=channels, num_classes=heads, **{**kwargs, "deep_supervision": False})
    except Exception as error:  # wrong counts raise AssertionError, TypeError, IndexError and more
        raise ExportError(f"plans.json: architecture: {name} cannot be built: {type(error).__name__}: {error}") from error
    return network


def _layer(key: str, dotted: Any) -> Any:
    from torch import nn

    if dotted is None:
        return None
    name = str(dotted).rpartition(".")[2]
    if not str(dotted).startswith("torch.nn.") or name not in _LAYERS:
        raise ExportError(f"plans.json: architecture.{key}: got {dotted!r}, expected one of {', '.join(_LAYERS)} of torch.nn")
    return getattr(nn, name)


def load_weights(network: Any, weights: Mapping[str, Any], described_by: str) -> Any:
    """The network in evaluation mode with every parameter filled, strictly. Raises ExportError where the weights do not fit.

    A module that is reached by two paths has two names (convs.0.conv and convs.0.all_modules.0, encoder and decoder.encoder),
    and which of them a checkpoint holds depends on the version that wrote it: one name is enough, and two have to agree.
    """
    import torch

    state = network.state_dict(keep_vars=True)
    unknown = sorted(set(weights) - set(state))
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    missing = [group[0] for group in names.values() if not set(group) & set(weights)]
    if unknown or missing:
        raise ExportError(
            f"checkpoint: the weights do not fit the network of {described_by}: {len(missing)} are missing ({_some(missing)}), "
            f"{len(unknown)} are unknown ({_some(unknown)}); was the network changed by a custom trainer?"
        )
    for group in names.values():
        found = [weights[name] for name in group if name in weights]
        if any(value.shape != state[group[0]].shape for value in found):
            raise ExportError(f"checkpoint: {group[0]}: got {tuple(found[0].shape)}, expected {tuple(state[group[0]].shape)}")
        if not torch.isfinite(found[0]).all():
            raise ExportError(f"checkpoint: {group[0]}: holds NaN or infinite weights; the training failed")
        if not all(torch.equal(value, found[0]) for value in found):
            raise ExportError(f"checkpoint: {', '.join(group)} are one parameter but hold different weights; the file is damaged")
        with torch.no_grad():
            state[group[0]].copy_(found[0])
    return network.eval()


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "none"
