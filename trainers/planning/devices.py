"""What is known of devices: what they compute, move and hold, by their makers' data sheets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Final

GB: Final = 10**9


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of device. Figures are peaks."""

    name: str
    flops: float
    """Operations a second in bfloat16, dense (sheets also print twice that, for sparse matrices)."""
    bandwidth: float
    """Bytes a second between the device and its memory."""
    memory: float
    """Bytes, as the maker counts them."""
    source: str
    gpu: bool = True


def _gpu(name: str, teraflops: float, gb_per_second: float, gb: float, source: str) -> Device:
    return Device(name, teraflops * 1e12, gb_per_second * GB, gb * GB, source)


DEVICES: Final = (
    _gpu("B200", 2250, 8000, 180, "NVIDIA HGX B200 data sheet"),
    _gpu("H200", 989, 4800, 141, "NVIDIA H200 data sheet, SXM"),
    _gpu("H100", 989, 3350, 80, "NVIDIA H100 data sheet, SXM"),
    _gpu("A100-40GB", 312, 1555, 40, "NVIDIA A100 data sheet, 40 GB"),
    _gpu("A100", 312, 2039, 80, "NVIDIA A100 data sheet, SXM 80 GB"),
    _gpu("L40S", 362, 864, 48, "NVIDIA L40S data sheet"),
    _gpu("A10G", 70, 600, 24, "AWS and NVIDIA on the A10G"),
    _gpu("L4", 121, 300, 24, "NVIDIA L4 data sheet"),
    _gpu("RTX 4090", 165, 1008, 24, "NVIDIA Ada GPU architecture paper, float32 accumulation"),
    _gpu("RTX 3090", 71, 936, 24, "NVIDIA GA102 architecture paper, float32 accumulation"),
)
"""Those of which several names hold the others come first."""

CPU_CORE: Final = Device(
    "CPU core",
    flops=100e9,
    bandwidth=10e9,
    memory=0,
    source="a rough figure: two cores of a server trained 135 million weights in float32 at about half of it",
    gpu=False,
)

_CPU: Final = re.compile(r"\bcpus?\b|\bcores?\b|\bepyc\b|\bxeon\b|\bprocessor\b")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_COUNT: Final = re.compile(r"\b([1-9]\d{0,3}) ?x? ?(?:cpu )?cores\b")


def device_of(name: str | None, processes: int = 1) -> Device | None:
    """The device that a text such as "NVIDIA H100 80GB HBM3" or "2 CPU cores" speaks of; None: not known.

    Args:
        processes: that share this machine's cores, where the text says "CPU" and not how many.
    """
    if name is None:
        return None
    text = re.sub(r"[\s_-]+", " ", name.lower())
    if _CPU.search(text):
        if (found := _COUNT.search(text)) is not None:
            count = int(found[1])
        else:
            count = 1 if "core" in text else max(1, _cores() // max(1, processes))
        return replace(
            CPU_CORE,
            name=name,
            flops=count * CPU_CORE.flops,
            bandwidth=max(1, count // 2) * CPU_CORE.bandwidth,
        )
    if "a100" in text and re.search(r"\b40 ?gb\b", text):
        return next(device for device in DEVICES if device.name == "A100-40GB")
    for device in DEVICES:
        wanted = device.name.lower()
        if re.search(rf"(?<![a-z0-9]){re.escape(wanted)}(?![a-z0-9])", text):
            return device
    return None
