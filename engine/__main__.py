"""`python -m flare_trt.engine ...` is `flare-trt ...`."""

import sys

from flare_trt.engine.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
