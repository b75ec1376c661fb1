"""Recorded inputs that are stored outside the repository."""

import os
from pathlib import Path

import pytest

_DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """Path of a recorded input. Skips the test if it does not exist.

    The folder is `../shared/data` next to the checkout, or the value of `PACELINE_TEST_SHARED_DATA`.
    """
    folder = Path(os.environ.get("PACELINE_TEST_SHARED_DATA", _DEFAULT_FOLDER))
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"recorded data is not here: {path}")
    return path
