"""A network over slices as one over volumes of one slice: 2-D layers as 3-D ones whose kernels are 1 along z.

So every backend runs it with the norms that are exact for volumes, and nothing after the export knows of a second kind of network.
"""

from __future__ import annotations

from typing import Any

from flare_trt.engine.base.errors import ExportError


def lifted(network: Any) -> Any:
    """The network, changed in place: (1, c, 1, y, x) to (1, heads, 1, y, x), the same numbers. Raises ExportError."""
    made: dict[int, Any] = {}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and type(child).__name__.endswith("2d"):
                if id(child) not in made:  # one module may hang in two places
                    made[id(child)] = _volume_layer(child)
                setattr(parent, name, made[id(child)])
    return network.eval()


def _volume_layer(layer: Any) -> Any:
    import torch
    from torch import nn

    kind = type(layer).__name__.removesuffix("2d")
    if kind in ("Conv", "ConvTranspose"):
        shape: dict[str, Any] = {key: _flat(getattr(layer, key), 1) for key in ("kernel_size", "stride", "dilation")}
        shape |= {"padding": _flat(layer.padding, 0), "groups": layer.groups, "bias": layer.bias is not None}
        if kind == "ConvTranspose":
            shape["output_padding"] = _flat(layer.output_padding, 0)
        result = getattr(nn, f"{kind}3d")(layer.in_channels, layer.out_channels, **shape)
        with torch.no_grad():
            result.weight.copy_(layer.weight.unsqueeze(2))
            if layer.bias is not None:
                result.bias.copy_(layer.bias)
        return result
    if kind in ("InstanceNorm", "BatchNorm"):
        kept = {key: getattr(layer, key) for key in ("eps", "momentum", "affine", "track_running_stats")}
        result = getattr(nn, f"{kind}3d")(layer.num_features, **kept)
        result.load_state_dict(layer.state_dict())
        return result
    if kind == "AvgPool":
        sizes = _flat(layer.kernel_size, 1), _flat(layer.stride, 1), _flat(layer.padding, 0)
        return nn.AvgPool3d(*sizes, layer.ceil_mode, layer.count_include_pad)
    if kind == "Dropout":
        return nn.Dropout3d(layer.p)
    raise ExportError(f"network: got a layer {type(layer).__name__}, which has no counterpart over volumes here")


def _flat(value: Any, along_z: int) -> tuple[int, int, int]:
    y, x = value if isinstance(value, (tuple, list)) else (value, value)
    return along_z, y, x
