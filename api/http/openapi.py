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
from api.http.idempotency import KEY, Key
from api.http.openapi_responses import REF, ref, responses
from api.http.session import SAFE_METHODS

_NULL: Final = {"type": "null"}
_FORM: Final = "application/x-www-form-urlencoded"


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
            "schemas": _components([spec for _, spec in routes]),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "access_token_cookie"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-TOKEN"},
            },
        },
    }


def _components(specs: list[Spec]) -> dict[str, Any]:
    """The schemas of all types. Responses contain every field, also those that have a default."""
    answers = {Failure, Meta, *(spec.data for spec in specs)}
    answers |= {spec.pending_data for spec in specs if spec.pending_data is not None}
    _, found = msgspec.json.schema_components(sorted(answers, key=_name), ref_template=REF)
    for schema in found.values():
        if "properties" in schema:
            schema["required"] = list(schema["properties"])
    return dict(sorted((found | _bodies(specs)).items()))


def _bodies(specs: list[Spec]) -> dict[str, Any]:
    """The schemas of the bodies of requests, with their rules over several fields."""
    bodies = {spec.body for spec in specs if spec.body is not None}
    _, found = msgspec.json.schema_components(sorted(bodies, key=_name), ref_template=REF)
    for body in bodies:
        found[body.__name__] |= getattr(body, "schema_rules", {})
    return found


def _name(cls: type[Struct]) -> str:
    return cls.__name__


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
            *(_parameter("path", name, _schema(spec.path[name])) for name in sorted(rule.arguments)),
            *_query_parameters(spec.query),
            *(
                _parameter("cookie", name, _schema(kind), required=False)
                for name, kind in spec.cookie.items()
            ),
            *([_parameter("header", KEY, _schema(Key), required=False)] if spec.keyed else []),
        ],
        "responses": responses(spec, method, rule.rule),
    }
    if spec.description:
        operation["description"] = spec.description
    if spec.signed_in:
        csrf: dict[str, list[str]] = {"csrf": []} if method not in SAFE_METHODS else {}
        operation["security"] = [{"session": []} | csrf]
    if spec.body is not None:
        content = {"application/json": {"schema": ref(spec.body), "example": spec.body_example}}
        if spec.form:
            schema = _without_nulls(_bodies([spec])[spec.body.__name__])
            content[_FORM] = {"schema": schema, "example": spec.body_example}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(place: str, name: str, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A parameter. Its description is that of its type."""
    description = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, "schema": schema} | description


def _schema(annotation: Any) -> dict[str, Any]:
    return msgspec.json.schema(annotation, ref_template=REF)


def _query_parameters(query: type[Struct] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    _, components = msgspec.json.schema_components([query], ref_template=REF)
    schema = components[query.__name__]
    return [
        _parameter("query", name, _without_null(field), required=name in schema.get("required", ()))
        for name, field in schema["properties"].items()
    ]


def _without_nulls(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object whose fields come in a form: they can be absent, but a form has no null."""
    found = schema | {
        "properties": {
            name: False if field == _NULL else _without_null(field)
            for name, field in schema["properties"].items()
        }
    }
    if "oneOf" in schema:
        found["oneOf"] = [_without_nulls(rule) for rule in schema["oneOf"]]
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional field that can be absent, but not null."""
    if "anyOf" not in schema:
        return schema
    parts: list[dict[str, Any]] = [part for part in schema["anyOf"] if part != _NULL]
    return parts[0]
