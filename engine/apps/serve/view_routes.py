"""The viewer of a job that is done: its page, the page's files, and the files that it shows, under an address of the job's own.

The page cannot send the bearer token, so the address holds a random word that opens this one job's viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, RedirectResponse

from flare_trt.engine.apps.access import is_token
from flare_trt.engine.apps.page_headers import page_headers
from flare_trt.engine.apps.serve.served_job import VIEWER, ServedJob
from flare_trt.engine.base.errors import InputError
from flare_trt.engine.results.viewer.page import Resource, kept_files, static_resources

#: The job of an id that is done. Raises HTTPException.
Done = Callable[[str], ServedJob]
NO_PAGES = "the scan was sent without ?pages=true, which keeps what its pages show"


class ViewRoutes:
    """One method a route."""

    def __init__(self, done: Done) -> None:
        self._done = done

    def viewer(self, job_id: str) -> Response:
        """Leads to the page with the scan, its labels and their surfaces, of a scan that was sent with pages=true."""
        job = self._done(job_id)
        if not job.pages or VIEWER in job.missing:
            raise HTTPException(406, job.missing.get(VIEWER, NO_PAGES))
        return RedirectResponse(f"viewer/{job.view_token}/", 303, {"Cache-Control": "no-store"})

    def resource(self, job_id: str, view_token: str, name: str = "") -> Response:
        """One of the names that the page asks for."""
        job = self._done(job_id)
        if not job.pages or not is_token(view_token, job.view_token):
            raise HTTPException(404, "there is no such viewer, or it is no longer kept")
        scan = kept_files(job.labels)
        if name in scan:
            return _file(*scan[name])
        resource = self._static.get(name)
        if resource is None:
            raise HTTPException(404, "there is nothing here")
        return Response(resource.content, media_type=resource.kind, headers=page_headers(framed=True))

    @cached_property
    def _static(self) -> dict[str, Resource]:
        try:
            return static_resources()
        except InputError as error:
            raise HTTPException(404, str(error)) from error


def add_view_routes(app: FastAPI, done: Done, address: str, leading: dict[str, Any]) -> None:
    """Add the routes below `address`, a job's; `leading` describes the one that the token guards."""
    routes = ViewRoutes(done)
    app.add_api_route(f"{address}/viewer", routes.viewer, status_code=303, **leading)
    hidden: dict[str, Any] = {"include_in_schema": False, "response_class": Response}
    app.add_api_route(f"{address}/viewer/{{view_token}}/", routes.resource, **hidden)
    app.add_api_route(f"{address}/viewer/{{view_token}}/{{name}}", routes.resource, **hidden)


def _file(kind: str, path: Path) -> Response:
    if not path.is_file():  # thrown out between two lines of ours
        raise HTTPException(404, "the results are no longer kept")
    return FileResponse(path, media_type=kind, headers=page_headers(framed=True))
