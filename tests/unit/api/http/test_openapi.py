"""The OpenAPI document is valid and complete, its examples fit, and its pages use only local files."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import create_app
from api.http.endpoint import SPEC, Spec
from api.http.openapi import document
from paceline.settings import Settings, load
from tests.support.offline_platform import offline_platform

_NOT_JSON = {
    "static",
    "pages.home",
    "pages.sign_in",
    "pages.docs",
    "pages.swagger",
    "openapi",
    "health.metrics",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    # Nothing listens on these ports, and no test here needs a server.
    ports = {f"PACELINE_{name}_PORT": "1" for name in ("REDIS", "POSTGRES", "KAFKA")}
    return load(ports | {"PACELINE_JWT_SECRET": "s" * 32}, tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def app(settings: Settings) -> Flask:
    return create_app(settings, offline_platform())


@pytest.fixture(scope="module")
def made(app: Flask) -> dict[str, Any]:
    return document(app)


def specs(app: Flask) -> dict[str, Spec]:
    found = {name: getattr(view, SPEC, None) for name, view in app.view_functions.items()}
    return {name: spec for name, spec in found.items() if spec is not None}


def test_the_document_is_valid_openapi_3_1(made: dict[str, Any]) -> None:
    assert made["openapi"].startswith("3.1")
    problems = [str(problem) for problem in OpenAPIV31SpecValidator(made).iter_errors()]
    assert problems == []


def test_every_route_is_documented_with_its_methods(app: Flask, made: dict[str, Any]) -> None:
    routed = {
        (rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in _NOT_JSON
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, item in made["paths"].items() for method in item}
    assert described == routed


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/health", "get"),
        ("/api/v1/auth", "post"),
        ("/api/v1/auth/verify", "get"),
        ("/api/v1/auth/logout", "delete"),
        ("/api/v1/trade/create", "post"),
        ("/api/v1/trade/close", "post"),
        ("/api/v1/trade/order", "post"),
        ("/api/v1/trade/positions", "get"),
        ("/api/v1/trade/history", "get"),
        ("/api/v1/trade/instructions/{instruction}", "get"),
        ("/api/v1/account/balance/usd", "get"),
        ("/api/v1/account/balance", "get"),
        ("/api/v1/account/assets", "get"),
        ("/api/v1/leaderboard", "get"),
    ],
)
def test_the_specified_routes_exist(made: dict[str, Any], path: str, method: str) -> None:
    assert made["paths"][path][method]["summary"]


def test_examples_fit_their_types(app: Flask) -> None:
    for name, spec in specs(app).items():
        answer = msgspec.convert(spec.example, spec.data)
        # The example must contain all fields of the type.
        fields = msgspec.json.decode(msgspec.json.encode(answer))
        assert set(fields) == set(spec.example), name
        if spec.body is not None:
            msgspec.convert(spec.body_example, spec.body)


def test_changing_routes_require_session_and_csrf(made: dict[str, Any]) -> None:
    for path, item in made["paths"].items():
        for method, operation in item.items():
            if "security" in operation:
                needed = {"session", "csrf"} if method != "get" else {"session"}
                assert [set(way) for way in operation["security"]] == [needed], path


def test_the_documentation_loads_local_files_only(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    for file in ("/api/v1/docs/swagger-ui-bundle.js", "/api/v1/docs/swagger-ui.css", "/static/docs.js"):
        assert file in page.text
        with client.get(file) as answer:
            assert answer.status_code == 200
    assert client.get("/api/v1/openapi.json").json["info"]["title"] == "Paceline API"


def test_every_answer_has_the_security_headers(app: Flask) -> None:
    for path in ("/", "/api/v1/docs", "/health/live", "/nothing", "/api/v1/trade/positions"):
        headers = app.test_client().get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"


def test_an_internal_error_shows_no_details(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    app = create_app(settings, offline_platform())

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("a secret inside")

    answer = app.test_client().get("/broken")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert answer.json["meta"]["requestId"]


def test_templates_hold_no_inline_scripts() -> None:
    for template in (Path(__file__).parents[4] / "api" / "templates").glob("*.html"):
        assert "<script>" not in template.read_text()


def test_routes_of_orders_document_conflicts_and_limits(made: dict[str, Any]) -> None:
    for path in ("create", "close", "amend", "order", "cancel"):
        responses = made["paths"][f"/api/v1/trade/{path}"]["post"]["responses"]
        assert {"409", "429"} <= responses.keys()
        for status in ("200", "202", "409", "422", "429"):
            assert {"RateLimit-Policy", "RateLimit"} <= responses[status]["headers"].keys(), (path, status)
        assert "Location" in responses["202"]["headers"]
        assert "RateLimit" not in responses["401"]["headers"]
    assert "409" in made["paths"]["/api/v1/admin/markets/{symbol}/halt"]["post"]["responses"]
