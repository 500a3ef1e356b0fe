"""`python -m flare_trt.engine.apps.cpp --cmake-dir`: the folders that a C++ build needs."""

from __future__ import annotations

import argparse
import sys

from flare_trt.engine.apps.cpp import cmake_dir, include_dir


def main() -> int:
    """Print one folder."""
    parser = argparse.ArgumentParser(
        prog="python -m flare_trt.engine.apps.cpp", description="Where the C++ header and its CMake package lie."
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--cmake-dir", dest="folder", action="store_const", const=cmake_dir(), help="for -Dflare_trt_DIR=")
    choice.add_argument("--include-dir", dest="folder", action="store_const", const=include_dir(), help="folder of flare_trt.hpp")
    print(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
