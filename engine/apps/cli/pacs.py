"""`flare-trt pacs`: a worker that studies are sent to by DICOM and that sends results back; and its queue."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from pathlib import Path

from flare_trt.engine.apps.cli.console import Console
from flare_trt.engine.apps.cli.segment import PICK_HELP, open_for_one_channel
from flare_trt.engine.apps.cli.values import TILT_HELP, add_run_options, memory_mb, port, run_options, seconds, series_rules
from flare_trt.engine.apps.pacs.anonymous import silenced
from flare_trt.engine.apps.pacs.dicomweb import Watcher, Web, web_send
from flare_trt.engine.apps.pacs.intake import Delivery, image_count
from flare_trt.engine.apps.pacs.metrics import Metrics
from flare_trt.engine.apps.pacs.peers import Archive, Door, Sender
from flare_trt.engine.apps.pacs.receiver import Receiver
from flare_trt.engine.apps.pacs.runner import RESULTS, Making, Runner
from flare_trt.engine.apps.pacs.seen_studies import SeenStudies
from flare_trt.engine.apps.pacs.sender import Send, dicom_send
from flare_trt.engine.apps.pacs.study_queue import Study, StudyQueue
from flare_trt.engine.apps.pacs.tls import TlsFiles
from flare_trt.engine.apps.pacs.worker import ALIVE_S, Times, Worker, heartbeat, own_queue
from flare_trt.engine.base.errors import InputError, ServiceError
from flare_trt.engine.base.text_tables import aligned_table
from flare_trt.engine.model.default_model import MODEL_HELP, named_model
from flare_trt.engine.scans.dicom.choice import SeriesChoice


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="COMMAND")
    run_parser = kinds.add_parser("run", help="receive studies, segment them, send the results")
    _configure_run(run_parser)
    run_parser.set_defaults(do=_run)
    for name, do, words in (
        ("list", _list, "show what is in the queue"),
        ("health", _health, "exit code 0 where a worker is alive on the queue, else 1"),
        ("retry", _retry, "segment a study again, or send its results now"),
        ("drop", _drop, "forget a study, and delete its images and results"),
    ):
        one = kinds.add_parser(name, help=words, description=words)
        one.add_argument("queue", type=Path, metavar="QUEUE", help="the folder of a worker's queue")
        one.set_defaults(do=do)
        if name in ("retry", "drop"):
            one.add_argument("jobs", nargs="+", type=int, metavar="JOB", help="job numbers")
        if name == "list":
            one.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Run the sub-command. Returns the exit code."""
    return int(arguments.do(arguments))


def _configure_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("queue", type=Path, metavar="QUEUE", help="the folder of the queue, images and results; made if missing")
    parser.add_argument(
        "--send-to", metavar="AET@HOST:PORT|URL", help="who gets the results, by DICOM or DICOMweb; default: the URL of --watch"
    )
    parser.add_argument("--model", type=named_model, metavar="BUNDLE", help=MODEL_HELP)
    _configure_door(parser)
    parser.add_argument("--pick", type=series_rules, default=(), metavar="RULES", help=PICK_HELP)
    parser.add_argument("--correct-tilt", action="store_true", help=TILT_HELP)
    parser.add_argument(
        "--results", type=_results, default=RESULTS, metavar="KINDS", help=f"what is sent; default: {','.join(RESULTS)}"
    )
    parser.add_argument(
        "--seg-type", choices=("binary", "labelmap"), default="binary", help="how a DICOM-SEG stores its segments (%(default)s)"
    )
    times = Times()
    parser.add_argument(
        "--quiet", type=seconds, default=times.quiet_s, metavar="S", help="seconds without an image until a study is complete (10)"
    )
    parser.add_argument("--keep", type=seconds, default=24.0, metavar="H", help="hours that images and results stay when done (24)")
    parser.add_argument(
        "--min-free", type=memory_mb, default=2000, metavar="SIZE", help="take no image where less of the disk is free (2GB)"
    )
    parser.add_argument(
        "--metrics",
        type=_place,
        metavar="[HOST:]PORT",
        help="numbers for Prometheus at this address; without HOST for this machine alone",
    )
    _configure_watch(parser)
    add_run_options(parser)


def _configure_door(parser: argparse.ArgumentParser) -> None:
    door = Door()
    parser.add_argument("--aet", default=door.title, metavar="TITLE", help="the worker's AE title (%(default)s)")
    parser.add_argument("--host", default=door.host, help="where to listen (%(default)s); any but this machine's needs --allow")
    parser.add_argument("--port", type=port, default=door.port, help="port, 0 for any free one (%(default)s)")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="AET[@ADDRESS]",
        help="who may send, and from where; may be repeated",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="speak TLS with this certificate")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's key")
    parser.add_argument("--tls-ca", type=Path, metavar="PEM", help="let in only senders with a certificate of this authority")
    parser.add_argument("--send-ca", type=Path, metavar="PEM", help="send by TLS, to a certificate of this authority")


def _configure_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", metavar="URL", help="fetch new studies with CT from this DICOMweb service")
    parser.add_argument(
        "--match",
        type=_attribute,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="watch only studies with this attribute (QIDO-RS), e.g. StudyDate=20260101-; may be repeated",
    )
    parser.add_argument("--backlog", action="store_true", help="fetch studies too that were there before the first look")
    parser.add_argument("--login", type=Path, metavar="FILE", help="user:password, or a bearer token, for DICOMweb")
    parser.add_argument("--web-ca", type=Path, metavar="PEM", help="the authority of the DICOMweb service's certificate")


def _run(arguments: argparse.Namespace) -> int:
    door = Door(arguments.aet, arguments.host, arguments.port, tuple(map(Sender.parsed, arguments.allow)))
    tls = TlsFiles(arguments.tls_cert, arguments.tls_key, arguments.tls_ca, arguments.send_ca)
    _require_extra()
    send, web = _send(arguments, door, tls), _web(arguments, arguments.watch)
    making = Making(arguments.results, arguments.seg_type, SeriesChoice(rules=arguments.pick, correct_tilt=arguments.correct_tilt))
    options, console = run_options(arguments), Console()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("flare_trt").setLevel(logging.INFO)
    with silenced(), own_queue(arguments.queue) as queue:
        metrics = Metrics(queue)
        receiver = Receiver(queue, door, tls.inward(), arguments.min_free, metrics)
        with metrics.served(arguments.metrics), open_for_one_channel(arguments.model, options, console, "pacs") as segmenter:
            runner = Runner(queue, segmenter, options, making, metrics)
            times = Times(arguments.quiet, arguments.keep * 3600)
            source = None if web is None else _watcher(arguments, web, queue)
            worker = Worker(queue, runner, send, times, metrics)
            worker.work(receiver, source, lambda: console.line(f"listening as {door.title} on {door.host}, port {receiver.port}"))
    return 0


def _send(arguments: argparse.Namespace, door: Door, tls: TlsFiles) -> Send:
    to = arguments.send_to or arguments.watch
    if to is None:
        raise ServiceError("got neither --send-to nor --watch, expected who gets the results: --send-to AET@HOST:PORT")
    web = _web(arguments, to)
    return dicom_send(Archive.parsed(to), door.title, tls.outward()) if web is None else web_send(web)


def _web(arguments: argparse.Namespace, address: str | None) -> Web | None:
    """The DICOMweb service of an address; None where it is none."""
    is_web = address is not None and address.startswith(("http://", "https://"))
    if address is not None and address == arguments.watch and not is_web:
        raise ServiceError(f"--watch {address}: expected the address of a DICOMweb service, http:// or https://")
    return Web(address, arguments.login, arguments.web_ca) if address is not None and is_web else None


def _watcher(arguments: argparse.Namespace, web: Web, queue: StudyQueue) -> Watcher:
    def deliver() -> Delivery:
        return Delivery(queue, "DICOMweb", arguments.min_free)

    return Watcher(web, SeenStudies(queue), deliver, dict(arguments.match), arguments.backlog, arguments.quiet)


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [
        name for name in ("pynetdicom", "dicomweb_client", "pydicom", "highdicom", "prometheus_client") if find_spec(name) is None
    ]
    if missing:
        raise ServiceError(f"pacs: not installed: {', '.join(missing)}; pip install 'flare-trt[pacs]'")


def _list(arguments: argparse.Namespace) -> int:
    studies = _opened(arguments).studies()
    if arguments.json:
        print(json.dumps([_told(study) for study in studies], indent=2))
        return 0
    heads = ["job", "state", "images", "attempts", "from", "since", "problem"]
    rows = [[*(str(value or "") for value in _told(study).values())] for study in studies]
    for row in rows:
        row[-1] = row[-1].splitlines()[0] if row[-1] else ""
    print(aligned_table([heads, *rows]))
    for study in studies:
        if study.problem is not None and "\n" in study.problem:
            print(f"\njob {study.job}: {study.problem}")
    return 0


def _told(study: Study) -> dict[str, str | int | None]:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(study.changed_s))
    counts = {"images": image_count(study), "attempts": study.attempts}
    return {"job": study.job, "state": study.state, **counts, "from": study.source, "since": since, "problem": study.problem}


def _health(arguments: argparse.Namespace) -> int:
    file = heartbeat(arguments.queue)
    age_s = time.time() - file.stat().st_mtime if file.exists() else None
    if age_s is None or age_s > ALIVE_S:
        print("no worker" if age_s is None else f"no worker for {age_s:.0f} s")
        return 1
    print("alive")
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    queue = _opened(arguments)
    for job in arguments.jobs:
        queue.retry(job)
    return 0


def _drop(arguments: argparse.Namespace) -> int:
    queue = _opened(arguments)
    for job in arguments.jobs:
        shutil.rmtree(queue.drop(job), ignore_errors=True)
    return 0


def _opened(arguments: argparse.Namespace) -> StudyQueue:
    """The queue that is there. Raises InputError."""
    if not (arguments.queue / "queue.sqlite").is_file():
        raise InputError(f"{arguments.queue}: holds no queue, expected the folder that `flare-trt pacs run` was started with")
    return StudyQueue(arguments.queue)


def _attribute(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key.isalnum() or not equals or not value:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected KEY=VALUE such as StudyDate=20260101-")
    return key, value


def _place(text: str) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", port(number)


def _results(text: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(","))
    if unknown := [kind for kind in kinds if kind not in RESULTS]:
        raise argparse.ArgumentTypeError(f"got {unknown[0]!r}, expected one or several of {', '.join(RESULTS)}, split by commas")
    return kinds
