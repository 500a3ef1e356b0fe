"""The FastAPI app of a service: its routes, its door, its answers to what cannot be read."""

from __future__ import annotations

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from flare_trt.engine.apps.access import Door, is_token
from flare_trt.engine.apps.serve.routes import add_routes
from flare_trt.engine.apps.serve.service import Service
from flare_trt.engine.apps.serve.upload_page import add_upload_page
from flare_trt.engine.base.version import VERSION


class TokenBearer(HTTPBearer):
    """Lets a request through where it bears the token."""

    def __init__(self, token: str) -> None:
        super().__init__(auto_error=False)
        self._token = token

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials:
        given = await super().__call__(request)
        if given is None or not is_token(given.credentials, self._token):
            raise HTTPException(401, "expected Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})
        return given


class Prefixed:
    """Serves under a path that a reverse proxy puts before the server's own, whether the proxy passes it on or cuts it off."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "root_path": self._prefix}, receive, send)


def build_app(service: Service, door: Door) -> FastAPI:
    """The app for a service. Without a token it answers to this machine's names and the door's alone, whatever a web page tries."""
    app = FastAPI(
        title="flare-trt",
        version=VERSION,
        description="Organs and tumours in abdominal CT. Research software, not a medical device.",
        docs_url=None,  # these two load scripts from other hosts
        redoc_url=None,
    )
    add_routes(app, service, [] if door.token is None else [Depends(TokenBearer(door.token))])
    add_upload_page(app)
    if door.token is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "::1", "[::1]", door.host, *door.names])
    if door.prefix:
        app.add_middleware(Prefixed, prefix=door.prefix)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(405, _wrong_method)
    return app


async def _unreadable(request: Request, error: Exception) -> Response:
    found = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": ("request",), "msg": "cannot be read"}
    return JSONResponse({"detail": f"{found['loc'][-1]}: {found['msg']}"}, 422)


async def _wrong_method(request: Request, error: Exception) -> Response:
    """Names every method of the address; Starlette names those of the first route with this address alone."""
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE]
    allowed = sorted({method for route in routes for method in route.methods or ()})
    return JSONResponse({"detail": f"got {request.method}, expected {' or '.join(allowed)}"}, 405, {"allow": ", ".join(allowed)})


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it
