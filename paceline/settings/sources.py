"""Where the values of settings come from: the process environment and two files."""

from collections.abc import Mapping
from pathlib import Path

from paceline.core.errors import ValidationError

PREFIX = "PACELINE_"


def read_variables(environ: Mapping[str, str], folder: Path = Path()) -> dict[str, str]:
    """The environment, with the variables of the files added."""
    found = _read_env_file(folder / ".env") | dict(environ)
    var_dir = Path(found.get(f"{PREFIX}VAR_DIR") or "var")
    secrets = found.get(f"{PREFIX}SECRETS_FILE") or var_dir / "secrets.env"
    return _read_env_file(folder / secrets) | found


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise ValidationError(f"{path.name}, line {number}: must have the form NAME=value")
        pairs[name.strip()] = value.strip().strip("'\"")
    return pairs
