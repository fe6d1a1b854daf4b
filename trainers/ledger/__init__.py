"""The ledger: what the stages of recipes took, in time, devices, energy and money, and what each checkpoint cost."""

from __future__ import annotations

from .bill import USD_PER_HOUR, Bill, CheckpointCost, StageCost, bill
from .entries import FILE, Entry, Ledger, Session

__all__ = [
    "FILE",
    "USD_PER_HOUR",
    "Bill",
    "CheckpointCost",
    "Entry",
    "Ledger",
    "Session",
    "StageCost",
    "bill",
]
