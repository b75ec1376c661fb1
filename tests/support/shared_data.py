"""Recorded inputs that are kept beside the checkout and are not part of the project."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """Path of a recorded input; skips the test where it is absent.

    The folder is `../shared/data` beside the checkout, or what `PACELINE_TEST_SHARED_DATA` names.
    """
    folder = Path(os.environ.get("PACELINE_TEST_SHARED_DATA", _BESIDE_THE_CHECKOUT))
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"recorded data is not here: {path}")
    return path
