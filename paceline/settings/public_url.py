"""The URL that people open: which ones the API accepts, and what a start without one means."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from paceline.core.errors import ValidationError
from paceline.settings import Settings


def is_loopback(url: str) -> bool:
    """Whether the URL is on this machine, where TLS is not required."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_public_url(settings: Settings) -> None:
    """`ValidationError` if sign-in links would lead nowhere, or would send sessions without TLS."""
    if not settings.public_url:
        if not is_loopback(_url_of(settings.bind_host)):
            raise ValidationError(
                "PACELINE_PUBLIC_URL is required, because PACELINE_BIND_HOST is not a loopback address. "
                "Set it to the URL that people open, such as https://paceline.example."
            )
        return
    if not _has_host(settings.public_url):
        raise ValidationError(
            "PACELINE_PUBLIC_URL has no host. Set it to a URL such as https://paceline.example."
        )
    insecure = settings.public_url.startswith("http://") and not is_loopback(settings.public_url)
    if insecure and not settings.allow_insecure_public_url:
        raise ValidationError(
            "PACELINE_PUBLIC_URL must begin with https://, because it is not on this machine. "
            "Serve the API through a proxy with TLS. To send sessions without TLS all the same, set "
            "PACELINE_ALLOW_INSECURE_PUBLIC_URL=true."
        )


def _url_of(host: str) -> str:
    return f"http://[{host}]" if ":" in host else f"http://{host}"


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
