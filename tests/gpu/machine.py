"""The machine: what flare-trt finds on it, and the GPU as CUDA tells of it."""

from __future__ import annotations

from tests.gpu.findings import Findings

from flare_trt.engine.networks.inventory import take_inventory


def look(findings: Findings) -> None:
    """Note the inventory; with each part that cannot be used."""
    import cupy

    inventory = take_inventory().as_json()
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    free, total = cupy.cuda.runtime.memGetInfo()
    findings.data |= {
        "gpu": properties["name"].decode(),
        "compute_capability": str(cupy.cuda.Device(0).compute_capability),
        "driver": int(cupy.cuda.runtime.driverGetVersion()),
        "memory_mb": round(total / 2**20),
        "in_use_by_others_mb": round((total - free) / 2**20),
        "inventory": inventory,
    }
    for kind in ("kernels", "backends"):
        for part in inventory[kind]:
            if part["problem"]:
                findings.notes.append(f"{part['name']}: {part['problem']}")
