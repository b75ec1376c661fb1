"""`paceline docs`: the warehouse's documentation as a web site."""

import os
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


def docs() -> None:
    """Build the documentation of the dbt models as one page and serve it on PACELINE_DOCS_PORT."""
    from paceline.settings import settings

    have = settings()
    folder = have.var_dir.resolve() / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    build(folder, have.database_url)
    handler = partial(Site, directory=str(folder))
    with ThreadingHTTPServer((have.bind_host, have.docs_port), handler) as server:
        print(f"serving the warehouse's documentation on port {have.docs_port}", flush=True)
        server.serve_forever()


def build(folder: Path, database_url: str) -> None:
    """`dbt docs generate` into the folder, in one file: `index.html`."""
    from paceline.core.errors import AppError
    from paceline.local.stack import BIN, ROOT

    project = str(ROOT / "dbt")
    arguments = ["--quiet", "docs", "generate", "--static", "--target-path", str(folder)]
    parts = urlsplit(database_url)
    environment = {
        **os.environ,
        "DBT_HOST": parts.hostname or "",
        "DBT_PORT": str(parts.port or 5432),
        "DBT_USER": unquote(parts.username or ""),
        "DBT_PASSWORD": unquote(parts.password or ""),
        "DBT_DBNAME": parts.path.strip("/"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        "DO_NOT_TRACK": "1",
        "DBT_LOG_PATH": str(folder),
    }
    done = subprocess.run(
        [str(BIN / "dbt"), *arguments, "--project-dir", project, "--profiles-dir", project],
        env=environment,
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        raise AppError("dbt could not build the documentation; its words are above")
    (folder / "static_index.html").replace(folder / "index.html")


class Site(SimpleHTTPRequestHandler):
    """Serves the page alone: the folder also holds dbt's log and artefacts."""

    def translate_path(self, path: str) -> str:
        name = "index.html" if urlsplit(path).path in ("/", "/index.html") else "nothing-here"
        return str(Path(self.directory) / name)

    def log_message(self, format: str, *args: object) -> None:
        """Requests for a static page are not worth a line each."""
        return
