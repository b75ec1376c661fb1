"""The OpenAPI 3.1 document, made from the routes and from the types that check requests."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from flask import Flask, Response
from msgspec import Struct
from werkzeug.routing import Rule

import paceline
from api.http.endpoint import SPEC, Spec
from api.http.envelope import Failure, Meta

_REF: Final = "#/components/schemas/{name}"
_DESCRIPTIONS: Final = {
    400: "The input is malformed. `details` maps each wrong field to its problem.",
    401: "You are not signed in, or the session has ended.",
    403: "The CSRF header or the role is missing.",
    404: "The object does not exist or is not yours.",
    409: "The current state does not allow this, or the Idempotency-Key belongs to another request.",
    413: "The body is larger than 16 KiB.",
    415: "The body is not JSON.",
    422: "The engine refuses the instruction. `code` is the engine's code, `message` the reason.",
    429: "The rate limit is exceeded. `Retry-After` says when to try again.",
    502: "An outside service refuses the request.",
    503: "A required service cannot be reached, or the API is busy. Nothing is done. `Retry-After` says "
    "when to try again.",
    504: "The result is unknown; the request may be done in part. Sending it again is safe.",
}
_EXAMPLE_CODES: Final = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHENTICATED",
    403: "CSRF_FAILED",
    404: "NOT_FOUND",
    409: "IDEMPOTENCY_KEY_REUSED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INSUFFICIENT_BALANCE",
    429: "RATE_LIMITED",
    502: "UPSTREAM_REFUSED",
    503: "UNAVAILABLE",
    504: "OUTCOME_UNKNOWN",
}
_RATE_LIMIT_HEADERS: Final = {
    "RateLimit-Policy": {
        "description": "The limits of orders per account: quota `q` in a window of `w` seconds.",
        "schema": {"type": "string"},
        "example": '"orders";q=20;w=1, "orders-day";q=50000;w=86400',
    },
    "RateLimit": {
        "description": "What is left: `r` orders, and `t` seconds until the whole quota is available again.",
        "schema": {"type": "string"},
        "example": '"orders";r=19;t=1, "orders-day";r=49999;t=2',
    },
}
_META_EXAMPLE: Final = {
    "timestamp": "2025-09-06T07:13:18.738Z",
    "requestId": "0f8fad5bd9cb469fa16570867728950e",
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Id of the instruction, generated if absent. A repeat within a day is not executed again. "
    "A key that belongs to another request is refused (409).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}


def install(app: Flask, base: str) -> None:
    """Serve the document of all routes registered so far."""
    text = msgspec.json.encode(document(app))
    app.add_url_rule(
        f"{base}/openapi.json",
        "openapi",
        lambda: Response(text, mimetype="application/json"),
        methods=["GET"],
    )


def document(app: Flask) -> dict[str, Any]:
    """The document as plain data."""
    routes = list(_routes(app))
    types = [Failure, Meta, *(spec.data for _, spec in routes), *(s.body for _, s in routes if s.body)]
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for rule, spec in routes:
        path = paths.setdefault(_path(rule), {})
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path[method.lower()] = _operation(rule, spec, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Paceline API",
            "version": paceline.__version__,
            "description": "Prices, quantities and amounts are decimal strings; times are microseconds UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "access_token_cookie"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-TOKEN"},
            },
        },
    }


def _routes(app: Flask) -> Iterator[tuple[Rule, Spec]]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        spec = getattr(app.view_functions[rule.endpoint], SPEC, None)
        if spec is not None:
            yield rule, spec


def _path(rule: Rule) -> str:
    return rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}")


def _operation(rule: Rule, spec: Spec, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": spec.summary,
        "parameters": [
            *_path_parameters(rule),
            *_query_parameters(spec.query),
            *([_IDEMPOTENCY_KEY] if spec.keyed else []),
        ],
        "responses": _responses(spec),
    }
    if spec.description:
        operation["description"] = spec.description
    if spec.signed_in:
        csrf: dict[str, list[str]] = {"csrf": []} if method != "GET" else {}
        operation["security"] = [{"session": []} | csrf]
    if spec.body is not None:
        content = {"schema": _ref(spec.body), "example": spec.body_example}
        kinds = ["application/json", *(["application/x-www-form-urlencoded"] if spec.form else [])]
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, content)}
    return operation


def _responses(spec: Spec) -> dict[str, Any]:
    body = {"success": True, "data": spec.example, "meta": _META_EXAMPLE}
    answers = {"200": _response("The result.", _envelope(_ref(spec.data)), body)}
    if spec.pending:
        pending = {
            "success": True,
            "data": {"instruction": "5b7a9c", "status": "pending"},
            "meta": _META_EXAMPLE,
        }
        schema = {
            "type": "object",
            "properties": {"instruction": {"type": "string"}, "status": {"const": "pending"}},
            "required": ["instruction", "status"],
        }
        answers["202"] = _response("The engine has not answered yet.", _envelope(schema), pending)
        answers["202"]["headers"] = {
            "Location": {"description": "Where the answer will be.", "schema": {"type": "string"}}
        }
    for status in spec.errors:
        problem = {"code": _EXAMPLE_CODES[status], "message": _DESCRIPTIONS[status], "details": {}}
        failed = {"success": False, "error": problem, "meta": _META_EXAMPLE}
        answers[str(status)] = _response(_DESCRIPTIONS[status], _ref(Failure), failed)
    if spec.limited:
        for name, answer in answers.items():
            if name not in ("401", "403"):  # a request without a valid session is not counted
                answer["headers"] = answer.get("headers", {}) | _RATE_LIMIT_HEADERS
    return answers


def _response(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _envelope(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data, "meta": _ref(Meta)},
        "required": ["success", "data", "meta"],
    }


def _ref(cls: type[Struct]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=cls.__name__)}


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
        for name in sorted(rule.arguments)
    ]


def _query_parameters(query: type[Struct] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    schema = components[query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        for name, field in schema["properties"].items()
    ]
