"""One scan under a memory budget in a process of its own: prints as JSON what the process took above its idle size.

Idle is a process that has imported the engine and the network library but opened nothing. The peak is the kernel's own
high-water mark of resident memory, so nothing between two samples is missed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from flare_trt.engine.base.errors import BudgetError
from flare_trt.engine.base.units import MB
from flare_trt.kernels.host_memory import peak_resident_bytes, resident_bytes


def main(bundle: Path, scan: Path, labels: Path, budget_mb: int) -> dict[str, float | str]:
    """Segment and write with this budget; budget 0 means none."""
    from flare_trt.engine import Segmenter, write_labels
    from flare_trt.engine.model.options import RunOptions
    from flare_trt.engine.networks.silent_import import load_openvino
    from flare_trt.engine.scans.image_files import open_image
    from flare_trt.engine.scans.scan_reader import spooled_ct, whole_ct

    load_openvino()  # part of the idle process
    idle = resident_bytes()
    taken = spooled_ct if budget_mb else whole_ct
    try:
        with Segmenter.open(bundle, RunOptions(device="cpu", max_memory_mb=budget_mb or None)) as segmenter:
            found = segmenter.segment(taken(open_image(scan)))
        write_labels(labels, found.labels)
    except BudgetError as error:
        return {"refused": str(error)}
    return {"above_idle_mb": (peak_resident_bytes() - idle) / MB, "idle_mb": idle / MB}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))) + "\n")
