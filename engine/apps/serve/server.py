"""The server as a process: its socket, its signals, and how it stops."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flare_trt.engine.apps.access import Door
from flare_trt.engine.apps.serve.kept_jobs import kept_folder
from flare_trt.engine.apps.serve.limits import Limits
from flare_trt.engine.apps.serve.own_folder import own_folder
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.steps import SegmentUpload
from flare_trt.engine.base.errors import ServiceError, reason_of

#: What is left to answers that are under way once the last job has ended.
_ANSWERS_S = 10


def serve(segment: SegmentUpload, door: Door, limits: Limits, tell: Callable[[str], None], jobs: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `tell` is called with the address. Raises ServiceError where the port is taken.

    Jobs lie in the folder `jobs` and outlast the server; without one they go with it.

    The first signal lets the running job end within the grace time, a second one stops it before its next tile.
    """
    import uvicorn

    from flare_trt.engine.apps.serve.app import build_app

    with _listen(door) as listener, own_folder() if jobs is None else kept_folder(jobs) as folder:
        service = Service(segment, limits, folder, kept=jobs is not None)
        config = uvicorn.Config(
            build_app(service, door),
            access_log=False,  # it would tell what clients put into addresses
            log_level="warning",
            lifespan="off",
            ws="none",  # a library for websockets that happens to be installed opens no further door
            server_header=False,
            timeout_graceful_shutdown=_ANSWERS_S,
        )
        server = uvicorn.Server(config)

        def stop() -> None:
            service.drain()
            server.should_exit = True

        def on_signal(number: int, frame: Any) -> None:
            # in a thread: the handler interrupts code that may hold the service's lock
            stopping = any(thread.name == "stop" for thread in threading.enumerate())
            threading.Thread(target=service.stop_running if stopping else stop, name="stop").start()

        server.handle_exit = on_signal  # type: ignore[method-assign, assignment]  # uvicorn's own drops what is under way
        tell(_address(door, listener))
        server.run(sockets=[listener])


def _listen(door: Door) -> socket.socket:
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    try:
        return socket.create_server((door.host, door.port), family=family, backlog=128)
    except OSError as error:
        raise ServiceError(f"{door.host}, port {door.port}: {reason_of(error)}; choose another --host or --port") from error


def _address(door: Door, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{door.host}]:{port}" if ":" in door.host else f"http://{door.host}:{port}"
