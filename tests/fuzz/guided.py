"""Fuzzing guided by coverage: `python -m tests.fuzz.guided TARGET CORPUS_FOLDER [libFuzzer options]`. Needs atheris."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import try_input


def main() -> None:
    """Seed the corpus folder and hand the target to atheris; a fault ends the run with its input kept by libFuzzer."""
    import atheris

    name, corpus = sys.argv[1], Path(sys.argv[2])
    target = TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (scratch / "home").mkdir()

    def one_input(data: bytes) -> None:
        verdict = try_input(target, data, scratch, random.getrandbits(30))
        if verdict.ended == "FAULT":
            raise AssertionError(verdict.detail)

    with atheris.instrument_imports(include=["flare_trt"]):
        try_input(target, target.seeds()[0], scratch, 0)  # imports what it uses
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
