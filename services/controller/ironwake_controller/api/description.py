"""What /openapi.json says beyond what FastAPI finds out: errors, tokens, and internal bodies.

Errors come from the guard and from handlers that stand around all routes, and bodies of /internal/
are the core's own dataclasses, so no route's signature has them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from ironwake.report import Callback, ClaimRequest, HealthReport, Observations
from ironwake_controller import guard, problems
from ironwake_controller.api.shapes import Problem

_COMPONENTS = "#/components/schemas/{model}"
_EVERYWHERE = {
    400: "This is not a call that can be understood",
    405: "This is not possible at this path",
    421: "The name in `Host` is not ours",
    431: "Too many header fields",
    503: "The database, or something else that is ours, failed: try again",
}
_WITH_A_TOKEN = {
    401: "No token, or a wrong one",
    403: "A token that does not open this",
    404: "What was named does not exist",
    408: "The body did not come in time",
    409: "Refused because of the present state",
    410: "It was there, and was used up",
    413: "The body is too large",
    422: "The call is not right; `where` names the field",
}
_BODIES: dict[str, Any] = {
    "/internal/claims": ClaimRequest,
    "/internal/deployments/{token}/callbacks": Callback,
    "/internal/health/{health_token}": HealthReport,
    "/internal/observations": Observations,
    "/internal/leases": dict[str, Any],  # `ironwake.lease.Leases`; its addresses are checked there
}


def install(app: FastAPI) -> None:
    """Have this application describe all of itself."""
    found = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(found())  # it keeps the document, and that is the one that is changed
        return found()

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way (extending OpenAPI)


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template=_COMPONENTS)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    errors = {**_EVERYWHERE, **_WITH_A_TOKEN}
    components["responses"] = {_name(code): _problem(text) for code, text in errors.items()}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, calls in document["paths"].items():
        for call in calls.values():
            if guard.door(path):
                call["security"] = [{"token": []}]
            codes = errors if guard.door(path) else _EVERYWHERE
            for code in sorted(codes):
                name = _name(code)
                call["responses"][str(code)] = {"$ref": f"#/components/responses/{name}"}
    for path, kind in _BODIES.items():
        schema = TypeAdapter(kind).json_schema(ref_template=_COMPONENTS)
        schemas.update(schema.pop("$defs", {}))
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        document["paths"][path]["post"]["requestBody"] = body


def _name(code: int) -> str:
    return HTTPStatus(code).name.title().replace("_", "")


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": _COMPONENTS.format(model="Problem")}
    return {"description": text, "content": {problems.MEDIA_TYPE: {"schema": schema}}}
