"""A long run: `python -m tests.fuzz --seconds 600`. Ends with 1 where a fault was found; its inputs are kept in --keep."""

from __future__ import annotations

import argparse
import secrets
import time
from pathlib import Path

from tests.fuzz.supervise import Range, Tally, fuzz
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import input_bytes

_BATCH = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET", help=f"default: {' '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop after the batch that runs then (default: %(default)s)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="default: another one each time")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="folder for inputs that fail (default: %(default)s)")
    arguments = parser.parse_args()
    end_s, start, faults = time.monotonic() + arguments.seconds, 0, 0
    while time.monotonic() < end_s:
        for name in arguments.targets:
            tally = fuzz(Range(name, arguments.seed, start, start + _BATCH))
            print(f"{name}, seed {arguments.seed}, from {start}: {dict(tally.ended)}", flush=True)
            faults += keep(tally, arguments.seed, arguments.keep)
            if time.monotonic() > end_s:
                break
        start += _BATCH
    return 1 if faults else 0


def keep(tally: Tally, seed: str, folder: Path) -> int:
    """Write the inputs that failed, to be looked at and put into the corpus; returns how many."""
    for fault in tally.faults:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{tally.target}-{seed}-{fault.index}"
        path.write_bytes(input_bytes(tally.target, TARGETS[tally.target], seed, fault.index))
        print(f"FAULT {path}: {fault.detail}")
    return len(tally.faults)


if __name__ == "__main__":
    raise SystemExit(main())
