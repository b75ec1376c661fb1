"""The secrets of the one-machine stack: made once, stored in the data folder, readable by its owner only."""

import os
import secrets
from pathlib import Path

NAMES = ("PACELINE_POSTGRES_PASSWORD", "PACELINE_ANALYST_PASSWORD", "PACELINE_JWT_SECRET")


def ensure(var_dir: Path) -> None:
    """Add the secrets that `secrets.env` lacks; existing ones stay."""
    var_dir.mkdir(parents=True, exist_ok=True)
    path = var_dir / "secrets.env"
    text = path.read_text() if path.is_file() else ""
    known = {line.partition("=")[0].strip() for line in text.splitlines()}
    absent = [name for name in NAMES if name not in known]
    if not absent:
        return
    if text and not text.endswith("\n"):
        text += "\n"
    text += "".join(f"{name}={secrets.token_urlsafe(32)}\n" for name in absent)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
