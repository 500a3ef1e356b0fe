"""nnU-Net v2 itself: python -m flare_trt.benchmarks.peers.peer_nnunet MODEL_FOLDER CT OUT [--resampling torch]"""

from __future__ import annotations

import sys
from typing import Any

from flare_trt.benchmarks.peers.nnunet_runner import run


def predict(predictor: Any, data: Any) -> Any:
    """nnU-Net's sliding window, mirroring off."""
    return predictor.predict_logits_from_preprocessed_data(data)


if __name__ == "__main__":
    run(sys.argv[1:], "Segment one CT with nnU-Net v2.", predict)
