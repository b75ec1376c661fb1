"""`paceline docs`: the warehouse's documentation as a web site."""

import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import urlsplit

_FIRST_RENEWAL_S = 600.0  # by then the start is over and the demo has published once
_RENEWAL_S = 3600.0


def docs() -> None:
    """Serve the documentation of the dbt models on PACELINE_DOCS_PORT, updated hourly from the database."""
    from paceline.local.stack import dbt
    from paceline.settings import settings

    config = settings()
    page = config.var_dir.resolve() / "docs" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(dbt.INSTALLED_PAGE, page)

    def renew() -> None:
        for pause_s in chain((_FIRST_RENEWAL_S,), repeat(_RENEWAL_S)):
            time.sleep(pause_s)
            if not dbt.write_page(page, catalogue_of=config.database_url_of("analyst")):
                print("the page cannot be updated; the previous page stays", flush=True)

    handler = partial(Site, directory=str(page.parent))
    with ThreadingHTTPServer((config.bind_host, config.docs_port), handler) as server:
        threading.Thread(target=renew, daemon=True).start()
        print(f"serving the warehouse's documentation on port {config.docs_port}", flush=True)
        server.serve_forever()


class Site(SimpleHTTPRequestHandler):
    """Serves the page, and no other file of its folder."""

    def translate_path(self, path: str) -> str:
        name = "index.html" if urlsplit(path).path in ("/", "/index.html") else "nothing-here"
        return str(Path(self.directory) / name)

    def log_message(self, format: str, *args: object) -> None:
        """Requests for a static page are not logged."""
        return
