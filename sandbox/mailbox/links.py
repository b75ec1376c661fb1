"""Makes the URLs in the text of a mail clickable."""

import re
from typing import Final

from markupsafe import Markup, escape

_URL: Final = re.compile(r"https?://[^\s<>\"']+")


def with_links(text: str | None) -> Markup:
    """Escaped text in which http(s) URLs are links."""
    parts, end = [], 0
    for found in _URL.finditer(text or ""):
        parts.append(escape((text or "")[end : found.start()]))
        parts.append(Markup('<a href="{0}">{0}</a>').format(found.group()))
        end = found.end()
    return Markup("").join([*parts, escape((text or "")[end:])])
