"""Errors as a client of the Images API knows them: `{"error": {message, type, param, code}}`.

One table from our errors to theirs. Knows no routes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from dalle_app.api.schema import ErrorAnswer, ErrorBody
from dalle_app.errors import (
    Busy,
    CheckpointError,
    DalleError,
    InvalidRecipe,
    InvalidRequest,
    ProviderError,
    StorageError,
)

log = logging.getLogger(__name__)

_WIRE_NAMES = {"count": "n"}  # of ImageRequest's fields that are called otherwise there
_CODES = {
    "missing": "missing_required_parameter",
    "json_invalid": "invalid_json",
    "literal_error": "invalid_value",
    "greater_than_equal": "invalid_value",
    "less_than_equal": "invalid_value",
}


class ApiError(HTTPException):
    """An answer that is an error: HTTP status, headers and body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.body = ErrorBody(message=message, type=type, param=param, code=code)

    def answer(self) -> JSONResponse:
        """The whole response."""
        content = ErrorAnswer(error=self.body).model_dump()
        return JSONResponse(content, self.status_code, headers=self.headers)


def api_error(error: Exception) -> ApiError:
    """Any error as a client is told it. One that nobody expected is logged with an id."""
    match error:
        case ApiError():
            return error
        case InvalidRequest(field="model"):
            return ApiError(404, str(error), param="model", code="model_not_found")
        case InvalidRequest():
            param = _WIRE_NAMES.get(error.field, error.field)
            return ApiError(400, str(error), param=param, code="invalid_value")
        case InvalidRecipe():
            return ApiError(400, str(error), code="invalid_value")
        case Busy():
            return ApiError(
                429,
                str(error),
                type="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"Retry-After": "5"},
            )
        case CheckpointError():
            return ApiError(503, str(error), type="server_error", code="model_unavailable")
        case ProviderError():
            return ApiError(502, str(error), type="server_error", code="provider_error")
        case StorageError():
            return ApiError(507, str(error), type="server_error", code="storage_full")
        case DalleError():
            return ApiError(500, str(error), type="server_error", code="engine_error")
    bug = secrets.token_hex(4)
    log.error("bug %s in /v1", bug, exc_info=error)
    return ApiError(
        500,
        f"A fault of ours stopped this request (id {bug} in the log). Try again.",
        type="server_error",
        code="internal_error",
    )


def add_error_answers(app: FastAPI) -> None:
    """Make every error that leaves a route of `app` one of ours."""

    async def expected(request: Request, error: Exception) -> JSONResponse:
        return api_error(error).answer()

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        return _invalid(error).answer()

    async def routing(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        return _routing(request, error).answer()

    app.add_exception_handler(ApiError, expected)
    app.add_exception_handler(DalleError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, expected)


def _invalid(error: RequestValidationError) -> ApiError:
    """The first thing that is wrong with a body."""
    first: Mapping[str, Any] = error.errors()[0]
    where = [str(part) for part in first["loc"][1:]]
    code = _CODES.get(first["type"], "invalid_type")
    if code == "invalid_json":
        return ApiError(400, "The body is not valid JSON.", code=code)
    if not where:
        return ApiError(
            400, "Send a JSON object, with the header Content-Type: application/json.", code=code
        )
    if code == "missing_required_parameter":
        message = f"“{where[0]}” is missing."
    else:
        message = f"“{where[0]}” cannot be used: {first['msg'].lower()}."
    return ApiError(400, message, param=where[0], code=code)


def _routing(request: Request, error: HTTPException) -> ApiError:
    if error.status_code == 404:
        message = f"There is no {request.method} {request.url.path} here. See /v1/openapi.json."
        return ApiError(404, message, code="unknown_url")
    if error.status_code == 405:
        message = f"{request.url.path} cannot be asked with {request.method}."
        return ApiError(405, message, code="method_not_allowed", headers=error.headers)
    return ApiError(error.status_code, f"{error.detail}.".replace("..", "."), headers=error.headers)
