"""`flare-trt serve`: segmentation over HTTP."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from flare_trt.engine.apps.access import Door, read_token, token_warning
from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.segment import open_for_one_channel
from flare_trt.engine.apps.cli.values import TILT_HELP, add_run_options, memory_mb, port, run_options
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.server import serve
from flare_trt.engine.apps.serve.steps import upload_steps
from flare_trt.engine.base.errors import ServiceError
from flare_trt.engine.base.units import MB
from flare_trt.engine.model.default_model import MODEL_HELP, named_model


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    limits = Limits()
    parser.add_argument("--model", type=named_model, metavar="BUNDLE", help=MODEL_HELP)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s); any but this machine's needs a token"
    )
    parser.add_argument("--port", type=port, default=8000, help="port, 0 for any free one (%(default)s)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the bearer token that clients must send")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name that a reverse proxy passes on; may be repeated",
    )
    parser.add_argument(
        "--prefix", default="", metavar="PATH", help="the path that a reverse proxy puts before the server's own, e.g. /ct"
    )
    parser.add_argument(
        "--queue", type=_positive, default=limits.waiting_jobs, metavar="N", help="jobs that may wait (%(default)s)"
    )
    parser.add_argument(
        "--jobs", type=Path, metavar="FOLDER", help="keep jobs here over a restart of the server; default: they go with it"
    )
    parser.add_argument(
        "--max-upload", type=memory_mb, default=2000, metavar="SIZE", help="largest upload, packed and unpacked (2GB)"
    )
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=int(limits.timeout_s),
        metavar="S",
        help="seconds for an upload, and for a job (%(default)s)",
    )
    parser.add_argument("--correct-tilt", action="store_true", help=TILT_HELP)
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal. Returns 0."""
    token = None if arguments.token_file is None else read_token(arguments.token_file)
    door = Door(arguments.host, arguments.port, token, tuple(arguments.allow_host), arguments.prefix)
    _require_extra()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("flare_trt").setLevel(logging.INFO)
    limits = Limits(arguments.queue, arguments.max_upload * MB, arguments.timeout)
    options = run_options(arguments)
    console = Console()
    if arguments.token_file is not None and (warning := token_warning(arguments.token_file)):
        console.complain(f"flare-trt: {warning}")
    with open_for_one_channel(arguments.model, options, console, "serve") as segmenter:
        steps = upload_steps(segmenter, options, arguments.correct_tilt, limits.upload_bytes)
        serve(steps, door, limits, lambda address: console.line(f"listening on {address}"), arguments.jobs)
    return 0


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise ServiceError(f"serve: not installed: {', '.join(missing)}; pip install 'flare-trt[serve]'")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)
