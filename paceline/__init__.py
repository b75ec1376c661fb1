"""Paceline: a self-hosted data platform with a live engine for trading communities."""

import sys

from paceline.build.compiled import Finder

__version__ = "0.1.0"

sys.meta_path.insert(0, Finder())
