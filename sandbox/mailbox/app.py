"""The mailbox's HTTP server: Resend's API for programs and a page for people."""

from typing import Any, Final

import msgspec
from flask import Flask, Response, render_template, request

from sandbox.mailbox.links import with_links
from sandbox.mailbox.requests import Refusal, limit_of, refusal_of_mail
from sandbox.mailbox.store import KeyReused, Mailbox

_MAX_BODY_BYTES: Final = 1024 * 1024
_HIDDEN_IN_LIST: Final = ("object", "html", "text")
_SHOWN_MAILS: Final = 100


def create_app(mailbox: Mailbox | None = None) -> Flask:
    """A Flask application with one mailbox."""
    app = Flask("sandbox.mailbox")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    box = mailbox or Mailbox()

    @app.post("/emails")
    def send() -> Response:
        refusal = _unauthorised() or refusal_of_mail(request.get_json(silent=True, force=True))
        key = request.headers.get("Idempotency-Key")
        if refusal is None and key is not None and not 1 <= len(key) <= 256:
            refusal = Refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        if refusal is not None:
            return _refused(refusal)
        try:
            return _json({"id": box.add(request.get_json(force=True), key)})
        except KeyReused:
            message = "Same idempotency key used with a different request payload."
            return _refused(Refusal(409, "invalid_idempotent_request", message))

    @app.get("/emails")
    def list_mails() -> Response:
        """Resend's list, newest first. The parameter `to` (an extension) selects one address."""
        limit = limit_of(request.args.get("limit"))
        refusal = _unauthorised() or (limit if isinstance(limit, Refusal) else None)
        if refusal is not None or isinstance(limit, Refusal):
            return _refused(refusal or Refusal(422, "validation_error", "Invalid list."))
        mails = _page(box.newest_first(request.args.get("to")))
        shown = [{name: mail[name] for name in mail if name not in _HIDDEN_IN_LIST} for mail in mails[:limit]]
        return _json({"object": "list", "has_more": len(mails) > limit, "data": shown})

    @app.get("/emails/<id>")
    def get_mail(id: str) -> Response:
        mail = box.get(id)
        refusal = _unauthorised() or (None if mail else Refusal(404, "not_found", "Email not found"))
        return _refused(refusal) if refusal else _json(mail)

    @app.get("/health")
    def health() -> Response:
        return _json({"live": True, "mails": len(box.newest_first())})

    @app.get("/")
    def page() -> str:
        mails = box.newest_first(request.args.get("to"))[:_SHOWN_MAILS]
        return render_template("mailbox.html", mails=mails, with_links=with_links)

    app.after_request(_add_security_headers)
    return app


def _page(mails: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mails after the mail `after`, or before the mail `before`, in the order of the list."""
    ids = [mail["id"] for mail in mails]
    after, before = request.args.get("after"), request.args.get("before")
    if after in ids:
        return mails[ids.index(after) + 1 :]
    if before in ids:
        return mails[: ids.index(before)]
    return mails


def _unauthorised() -> Refusal | None:
    """A refusal without an API key. Any key is accepted."""
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind == "Bearer" and key.strip():
        return None
    return Refusal(401, "missing_api_key", "Missing API key in the authorization header.")


def _refused(refusal: Refusal) -> Response:
    return _json(msgspec.to_builtins(refusal), refusal.status)


def _json(data: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, mimetype="application/json")


def _add_security_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
