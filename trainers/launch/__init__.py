"""Processes of a stage: one, or several through accelerate."""

from .commands import CONFIGS, command, shipped_configs
from .machines import Machines, gpus

__all__ = ["CONFIGS", "Machines", "command", "gpus", "shipped_configs"]
