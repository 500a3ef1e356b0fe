"""MONAI's sliding window: python -m flare_trt.benchmarks.peers.peer_monai MODEL_FOLDER CT OUT

Network, weights, pre- and post-processing are nnU-Net's; only the window is MONAI's. Its importance map is another one
(monai/data/utils.py, compute_importance_map: exp(-x^2 / 2 sigma^2) around (n - 1) / 2, floored at 1e-3, in float32; nnU-Net's
is a filtered impulse at n // 2, times 10, in float16), and it pads a small scan by zeros on both sides as nnU-Net does, but
places the windows at whole strides from the start instead of spreading them evenly. So labels differ a little at seams.
"""

from __future__ import annotations

import sys
from typing import Any

from flare_trt.benchmarks.peers.nnunet_runner import run
from flare_trt.engine.base.stopwatch import marked


def predict(predictor: Any, data: Any) -> Any:
    """Windows of the plans' patch with half overlap and Gaussian weights, the folds' logits averaged."""
    with marked("import"):
        import torch
        from monai.inferers import sliding_window_inference
    patch = predictor.configuration_manager.patch_size
    with torch.inference_mode():
        batch = data[None].to(predictor.device)
        network, folds = predictor.network.eval(), predictor.list_of_parameters
        total: Any = 0.0
        for parameters in folds:
            network.load_state_dict(parameters)
            total += sliding_window_inference(batch, patch, 1, network, overlap=0.5, mode="gaussian", sigma_scale=0.125)[0]
        return total / len(folds)


if __name__ == "__main__":
    run(sys.argv[1:], "Segment one CT with MONAI's sliding window.", predict)
