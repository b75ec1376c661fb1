"""Values that must not be shown: in a log line, an error, a representation or a JSON document."""

import hmac
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

HIDDEN: Final = "***"
_SECRET_PARAMETERS: Final = ("pass", "secret", "token", "key")


class Secret:
    """A secret text. `str` and `repr` show `***`; only `reveal` returns the text.

    Two secrets are compared in constant time. A secret cannot be pickled, and JSON encoders refuse it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the client of the service that needs it."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        """Whether there is a secret: an empty text is none."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _: Any) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret cannot be pickled.")


NO_SECRET: Final = Secret("")


class SecretUrl(Secret):
    """A URL that may hold a password: shown as `scheme://user:***@host:port/path`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return hide_password(self._text)


def hide_password(url: str) -> str:
    """The URL without its password and without secret parameters. `***` replaces all that is not certain."""
    if not url:
        return ""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return HIDDEN
    # A password with an unquoted `/`, `?` or `#` ends the host part too early.
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    if "@" in rest[len(authority) :]:
        return f"{scheme}://{HIDDEN}"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{scheme}://{HIDDEN}"
    userinfo, at, host = authority.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    query = "&".join(map(_hide_parameter, parts.query.split("&"))) if parts.query else ""
    host = host.removesuffix(port)
    return (
        f"{scheme}://{user}{f':{HIDDEN}' if colon else ''}{at}{host}{port}{parts.path}{query and f'?{query}'}"
    )


def _hide_parameter(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    secret = any(word in name.lower() for word in _SECRET_PARAMETERS)
    return f"{name}={HIDDEN}" if equals and secret else pair
