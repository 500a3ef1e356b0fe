"""`python slow_server.py GATE WORDS...`: `flare-trt WORDS...`, whose fake network is slow until the file GATE exists.

A job then lasts as long as a test wants it to, however fast the machine is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.cli import main
from flare_trt.engine.networks.fake import FakeSession

#: Seconds a tile. A signal is answered between two tiles.
TILE_S = 0.05


def slow_down(gate: Path) -> None:
    """Let each tile of a fake network take TILE_S while `gate` does not exist."""
    quick = FakeSession.run

    def run(self: FakeSession, tile: Any) -> Any:
        if not gate.exists():
            time.sleep(TILE_S)
        return quick(self, tile)

    FakeSession.run = run  # type: ignore[method-assign]


if __name__ == "__main__":
    slow_down(Path(sys.argv[1]))
    raise SystemExit(main(sys.argv[2:]))
