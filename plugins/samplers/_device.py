"""What this machine has: memory and graphics processors, found without importing an engine."""

from __future__ import annotations

import os
from pathlib import Path


def gpu_visible() -> bool:
    """Whether a CUDA or ROCm device can be seen."""
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        if os.environ.get(variable, "unset").strip() in ("", "-1"):
            return False
    if Path("/dev/kfd").exists() or Path("/proc/driver/nvidia/version").exists():
        return True
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def available_memory() -> int:
    """Bytes of main memory that this process can still take, control groups considered."""
    available = _meminfo() or 4 << 30
    for folder in _cgroups():
        try:
            limit = (folder / "memory.max").read_text().strip()
            if limit != "max":
                used = int((folder / "memory.current").read_text())
                available = min(available, max(0, int(limit) - used + _page_cache(folder)))
        except (OSError, ValueError):
            continue
    return available


def _page_cache(folder: Path) -> int:
    """File pages that the kernel gives up under pressure; they count as used in a control group."""
    for line in (folder / "memory.stat").read_text().split("\n"):
        if line.startswith("inactive_file "):
            return int(line.split()[1])
    return 0


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().split("\n"):
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
        return None
    except (OSError, ValueError, IndexError):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        except (OSError, ValueError):
            return None


def _cgroups() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().split("\n")
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = root / own.strip("/")
    return [f for f in (folder, *folder.parents) if f.is_relative_to(root) and (f / "memory.max").exists()]
