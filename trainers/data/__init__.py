"""Stage data: from what a recipe says of a stage's data to the rows that its trainer reads (docs/training-data.md)."""

from __future__ import annotations

from .preparing import prepare
from .records import Needs, Prepared
from .size import DataSize, describe

__all__ = ["DataSize", "Needs", "Prepared", "describe", "prepare"]
