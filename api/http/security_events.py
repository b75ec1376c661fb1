"""Records security events with the client's address and the id of the request."""

from ipaddress import ip_address

from flask import request

from api.http.context import platform
from api.http.middleware import REQUEST_ID
from paceline.ports.identity import Member, SecurityEventName

ANONYMOUS = "anonymous"


def actor(member: Member) -> str:
    return f"member:{member.account}"


def record(
    event: SecurityEventName,
    *,
    actor: str,
    account: str | None = None,
    email: str | None = None,
    **details: str,
) -> None:
    """Record an event of this request. It does not wait for the database."""
    platform().security.record(
        event,
        actor=actor,
        account=account,
        email=email,
        address=_client_address(),
        request_id=request.environ.get(REQUEST_ID),
        **details,
    )


def _client_address() -> str | None:
    """The client's address; `None` if a proxy gives something else."""
    try:
        return str(ip_address(request.remote_addr or ""))
    except ValueError:
        return None
