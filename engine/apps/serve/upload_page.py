"""The page for one-off users: drop a scan, watch its job, fetch the results. It holds nothing secret, so no token guards it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Response

from flare_trt.engine.apps.page_headers import page_headers

_STATIC = Path(__file__).with_name("static")
_FILES = {
    "/": ("upload.html", "text/html; charset=utf-8"),
    "/upload.css": ("upload.css", "text/css; charset=utf-8"),
    "/upload.js": ("upload.js", "text/javascript; charset=utf-8"),
}


def add_upload_page(app: FastAPI) -> None:
    """Add the page and its two files; they are no part of the API's description."""
    for address, (name, kind) in _FILES.items():
        app.add_api_route(address, _giver((_STATIC / name).read_bytes(), kind), include_in_schema=False, response_class=Response)


def _giver(content: bytes, kind: str) -> Callable[[], Response]:
    def give() -> Response:
        return Response(content, media_type=kind, headers=page_headers())

    return give
