"""`python -m flare_trt.benchmarks ...` is `flare-trt bench ...`."""

import sys

from flare_trt.engine.apps.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
