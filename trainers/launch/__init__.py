"""Processes of a stage: one, or several through accelerate."""

from .commands import CONFIGS, command, shipped_configs
from .machines import Machines, gpu_names, gpus, named

__all__ = ["CONFIGS", "Machines", "command", "gpu_names", "gpus", "named", "shipped_configs"]
