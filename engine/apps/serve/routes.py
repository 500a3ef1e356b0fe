"""What is asked over HTTP, and what is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from flare_trt.engine.apps.page_headers import page_headers
from flare_trt.engine.apps.serve.served_job import ServedJob, State
from flare_trt.engine.apps.serve.service import Closing, QueueFull, Service
from flare_trt.engine.apps.serve.uploads import UploadTooLarge, receive
from flare_trt.engine.apps.serve.view_routes import NO_PAGES, add_view_routes
from flare_trt.engine.base.errors import BudgetError, InputError, OutputError, is_full, reason_of
from flare_trt.engine.scans.dicom.choice import SeriesChoice

_LOG = logging.getLogger(__name__)
JOBS = "/v1/segmentations"
UPLOAD_TYPE = "application/octet-stream"
LABELS_TYPE = "application/gzip"
DICOM_TYPE = "application/dicom"
PAGE_TYPE = "text/html"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: How often a waiting request looks whether its job has ended or its client has gone.
_POLL_S = 0.05
#: How long the rest of a refused upload is read, so that the client gets to read the answer.
_LINGER_S = 5.0
_HANG_UP = {"connection": "close"}
#: The report bears a policy of its own beside, which lets it show its pictures and style and nothing else.
_PAGE_HEADERS = page_headers() | {"Content-Security-Policy": "frame-ancestors 'none'"}


#: HTTP status -> what the OpenAPI description says of that answer.
Answers = dict[int | str, dict[str, Any]]


@dataclass(frozen=True)
class Problem:
    """Body of every answer that is not a success; of /health and /ready too."""

    detail: str


@dataclass(frozen=True)
class JobStatus:
    """Where a job is. `stage`, `tiles_done` and `tiles` tell the running pass; `jobs_before` counts those in front of it."""

    id: str
    state: State
    jobs_before: int
    stage: str | None
    tiles_done: int
    tiles: int
    problem: str | None


#: A DICOM UID (PS3.5, 9.1).
SeriesUid = Annotated[str | None, Query(pattern=r"^[0-9.]{1,64}$")]
#: A DICOM integer string (PS3.5, 6.2, IS).
AcquisitionNumber = Annotated[int | None, Query(ge=-(2**31), lt=2**31)]


class Routes:
    """One method a route; what it answers stands in `add_routes`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(
        self,
        request: Request,
        response: Response,
        wait: bool = False,
        series: SeriesUid = None,
        acquisition: AcquisitionNumber = None,
        pages: bool = False,
    ) -> Any:
        """Take a scan: a NIfTI-1 file, or a zip of DICOM, as the request's body. With wait=true the answer is its labels.

        `series` is the UID of the series to take where a zip holds several, `acquisition` the number of the acquisition (phase) to
        take where a series holds several. The labels are a .nii.gz file, or with Accept: application/dicom a DICOM-SEG. With
        pages=true the scan is kept with its results, for /viewer, and the report is there as a page too.
        """
        limits = self._service.limits
        if request.headers.get("content-type", "").partition(";")[0] != UPLOAD_TYPE:
            raise HTTPException(415, f"expected the scan as the body, with Content-Type: {UPLOAD_TYPE}")
        try:
            with self._service.admitted() as job:
                job.choice, job.pages = SeriesChoice(series, acquisition=acquisition), pages
                if int(request.headers.get("content-length", 0)) > limits.upload_bytes:
                    raise UploadTooLarge
                async with asyncio.timeout(limits.timeout_s):
                    await receive(request.stream(), job.upload, limits.upload_bytes)
        except QueueFull as full:
            raise await _refused(request, 429, "the queue is full; try again", full.retry_after_s) from full
        except Closing as closing:
            raise await _refused(request, 503, "the server is going down; try another") from closing
        except UploadTooLarge as large:
            raise await _refused(request, 413, f"expected at most {limits.upload_bytes} bytes; crop the scan") from large
        except TimeoutError as late:
            raise HTTPException(408, f"the upload took more than {limits.timeout_s:g} s", _HANG_UP) from late
        except (OSError, OutputError) as error:
            _LOG.error("an upload could not be kept: %s", reason_of(error))
            raise await _refused(request, 507, "the server has no room for the scan; try again later") from error
        response.headers["location"] = _address(request, job)
        return await self._labels_when_done(request, job) if wait else self._status(job)

    def status(self, job_id: str) -> JobStatus:
        """Where a job is."""
        return self._status(self._job(job_id))

    def labels(self, job_id: str, request: Request) -> Response:
        """The labels of a job that is done: a .nii.gz file on the scan's grid, or with Accept: application/dicom a DICOM-SEG."""
        return _labels(request, self.done(job_id))

    def seg(self, job_id: str) -> Response:
        """The DICOM-SEG of a job that is done, of a zip of DICOM."""
        return _dicom(self.done(job_id), "seg")

    def sr(self, job_id: str) -> Response:
        """What was measured, as a DICOM SR (TID 1500) tied to the DICOM-SEG."""
        return _dicom(self.done(job_id), "sr")

    def rtstruct(self, job_id: str) -> Response:
        """The contours of a job that is done, of a zip of DICOM, as an RTSTRUCT."""
        return _dicom(self.done(job_id), "rtstruct")

    def preview(self, job_id: str) -> Response:
        """The picture of a job that is done: three planes with the labels, a PNG file."""
        return Response(_content(self.done(job_id).preview.read_bytes), media_type="image/png")

    def report(self, job_id: str, request: Request) -> Response:
        """The report of a job that is done: organs, stages, region of interest, warnings; with Accept: text/html as a page."""
        job = self.done(job_id)
        if PAGE_TYPE not in request.headers.get("accept", ""):
            return Response(_content(job.report.read_bytes), media_type="application/json")
        if not job.pages:
            raise HTTPException(406, NO_PAGES)
        return Response(_content(job.page.read_bytes), media_type=PAGE_TYPE, headers=_PAGE_HEADERS)

    def delete(self, job_id: str) -> Response:
        """Stop a job and delete all that is kept of it."""
        self._service.cancel(self._job(job_id))
        return Response(status_code=204)

    def health(self) -> Response:
        """200 while the server can segment at all, 503 where it has to be started again."""
        return _yes_or_no(self._service.is_alive, "ok", "the segmenting thread has ended; start the server again")

    def ready(self) -> Response:
        """200 where an upload would be taken now."""
        return _yes_or_no(self._service.is_ready, "ready", "busy or going down")

    def metrics(self) -> Response:
        """Counters in Prometheus' text format."""
        return Response(self._service.metrics.text(), media_type=METRICS_TYPE)

    def _job(self, job_id: str) -> ServedJob:
        job = self._service.find(job_id)
        if job is None:
            raise HTTPException(404, "there is no such job, or its results are no longer kept")
        return job

    def done(self, job_id: str) -> ServedJob:
        """The job of an id, if it is done. Raises HTTPException."""
        job = self._job(job_id)
        if job.state != "done":
            raise HTTPException(409, f"the job is {job.state}, expected done" + (f": {job.problem}" if job.problem else ""))
        return job

    def _status(self, job: ServedJob) -> JobStatus:
        stage, done, total = job.progress or (None, 0, 0)
        return JobStatus(job.id, job.state, self._service.jobs_before(job), stage, done, total, job.problem)

    async def _labels_when_done(self, request: Request, job: ServedJob) -> Response:
        """The labels, or the problem as an HTTP error; the job of a client that goes away is cancelled."""
        while not job.ended.is_set():
            if await request.is_disconnected():
                self._service.cancel(job)
                raise ClientDisconnect
            await asyncio.sleep(_POLL_S)
        if job.state == "done":
            response = await asyncio.to_thread(_labels, request, job)
            response.headers["location"] = _address(request, job)
            return response
        if isinstance(job.error, (InputError, BudgetError)):
            raise HTTPException(422, job.problem)
        code = {"stopped": 503, "timed_out": 504, "cancelled": 409}.get(job.state, 500)
        if job.error is not None and is_full(job.error):
            code = 507
        raise HTTPException(code, f"the job is {job.state}" + (f": {job.problem}" if job.problem else ""))


def _address(request: Request, job: ServedJob) -> str:
    """Where a job is asked for, with the prefix of a proxy."""
    return f"{request.scope.get('root_path', '')}{JOBS}/{job.id}"


def add_routes(app: FastAPI, service: Service, guarded: list[Any]) -> None:
    """Add every route to the app; `guarded` are the dependencies of those that only the token opens."""
    routes = Routes(service)
    nifti = {"schema": {"type": "string", "format": "binary"}}
    labels: Answers = {200: {"description": "The labels", "content": {LABELS_TYPE: nifti, DICOM_TYPE: nifti}}}
    denied = _problems(401) if guarded else {}
    app.add_api_route(
        JOBS,
        routes.create,
        methods=["POST"],
        status_code=202,
        response_model=JobStatus,
        dependencies=guarded,
        openapi_extra={"requestBody": {"required": True, "content": {UPLOAD_TYPE: nifti}}},
        responses=denied | labels | _problems(406, 408, 409, 413, 415, 422, 429, 500, 503, 504, 507),
    )
    one = JOBS + "/{job_id}"
    app.add_api_route(one, routes.status, dependencies=guarded, responses=denied | _problems(404))
    plain: dict[str, Any] = {"response_class": Response, "dependencies": guarded}
    app.add_api_route(one, routes.delete, methods=["DELETE"], status_code=204, responses=denied | _problems(404), **plain)
    kept = denied | _problems(404, 409)
    app.add_api_route(f"{one}/labels", routes.labels, responses=kept | labels | _problems(406), **plain)
    for kind, give in (("seg", routes.seg), ("sr", routes.sr), ("rtstruct", routes.rtstruct)):
        app.add_api_route(f"{one}/{kind}", give, responses=kept | _body(DICOM_TYPE, nifti) | _problems(406), **plain)
    app.add_api_route(f"{one}/preview", routes.preview, responses=kept | _body("image/png", nifti), **plain)
    report = {"application/json": {"schema": {"type": "object"}}, PAGE_TYPE: {"schema": {"type": "string"}}}
    reports: Answers = {200: {"description": "What was asked for", "content": report}}
    app.add_api_route(f"{one}/report", routes.report, responses=kept | reports | _problems(406), **plain)
    add_view_routes(app, routes.done, one, {"responses": kept | _problems(406), **plain})
    app.add_api_route("/metrics", routes.metrics, responses=denied | _body(METRICS_TYPE, {"schema": {"type": "string"}}), **plain)
    app.add_api_route("/health", routes.health, responses=_problems(200, 503), response_class=JSONResponse)
    app.add_api_route("/ready", routes.ready, responses=_problems(200, 503), response_class=JSONResponse)


def _problems(*codes: int) -> Answers:
    return {code: {"model": Problem} for code in codes}


def _body(media_type: str, content: dict[str, Any]) -> Answers:
    return {200: {"description": "What was asked for", "content": {media_type: content}}}


async def _refused(request: Request, code: int, detail: str, retry_after_s: int | None = None) -> HTTPException:
    """The answer to an upload that is not taken, after reading on a while: a client that is still sending would not see it.

    A client that asks first (Expect: 100-continue, RFC 9110, section 10.1.1) is answered at once and sends nothing.
    """
    if request.headers.get("expect", "").lower() != "100-continue":
        await _read_on(request)
    headers = _HANG_UP | ({"retry-after": str(retry_after_s)} if retry_after_s else {})
    return HTTPException(code, detail, headers)


async def _read_on(request: Request) -> None:
    try:
        async with asyncio.timeout(_LINGER_S):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: the body has been read
        pass


def _labels(request: Request, job: ServedJob) -> Response:
    if DICOM_TYPE in request.headers.get("accept", ""):
        return _dicom(job, "seg")
    return Response(_content(job.labels.read_bytes), media_type=LABELS_TYPE)


def _dicom(job: ServedJob, kind: str) -> Response:
    if kind in job.missing:
        raise HTTPException(406, job.missing[kind])
    return Response(_content(job.dicom(kind).read_bytes), media_type=DICOM_TYPE)


def _content(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except FileNotFoundError as error:  # thrown out between two lines of ours
        raise HTTPException(404, "the results are no longer kept") from error


def _yes_or_no(holds: bool, yes: str, no: str) -> Response:
    return JSONResponse({"detail": yes if holds else no}, 200 if holds else 503)
