"""HTML pages: home, sign-in and the API documentation. All files come from this server, none from a CDN."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, render_template, send_from_directory
from werkzeug.exceptions import NotFound

from api.http.context import settings

blueprint = Blueprint("pages", __name__)

_SWAGGER_FILES: Final = {
    "swagger-ui-bundle.js": "js/swagger-ui-bundle.js",
    "swagger-ui.css": "css/swagger-ui.css",
}


def swagger_folder() -> Path:
    """Folder of Swagger UI's files in an installed package, which is not imported."""
    spec = find_spec("flask_openapi3_swagger")
    if spec is None or spec.origin is None:
        raise NotFound
    return Path(spec.origin).parent / "templates" / "swagger"


@blueprint.get("/")
def home() -> str:
    found = settings()
    places = [("Sign in", "/sign-in", "with a link or a code by mail")]
    places += [("API documentation", "/api/v1/docs", "every endpoint, with a form to try it")]
    if not found.resend_url:
        places.append(("Mailbox", f"http://127.0.0.1:{found.mailbox_port}/", "receives the sign-in links"))
    places += [
        ("Airflow", f"http://127.0.0.1:{found.airflow_port}/", "the nightly run"),
        ("dbt docs", f"http://127.0.0.1:{found.docs_port}/", "every table and metric"),
        ("Health", "/health", "state of the API and its dependencies"),
    ]
    return render_template("home.html", places=places)


@blueprint.get("/sign-in")
def sign_in() -> str:
    return render_template("sign_in.html")


@blueprint.get("/api/v1/docs")
def docs() -> str:
    return render_template("docs.html")


@blueprint.get("/api/v1/docs/<name>")
def swagger(name: str) -> Response:
    if name not in _SWAGGER_FILES:
        raise NotFound
    answer = send_from_directory(swagger_folder(), _SWAGGER_FILES[name])
    answer.headers["Cache-Control"] = "public, max-age=86400"
    return answer
