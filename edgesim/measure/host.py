"""Describe the machine that a profile is measured on, without torch, so that cached ones are found fast."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

import psutil

__all__ = [
    "FALLBACK_CACHE_BYTES",
    "default_threads",
    "host_facts",
    "host_identity",
    "last_level_cache_bytes",
    "software_versions",
]

FALLBACK_CACHE_BYTES = 64 * 2**20
"""Assumed size where the system does not report it: large, so that timed weights do not fit in the cache."""

_MEASURED_WITH = ("torch", "transformers")
_CACHE_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
_NVIDIA_FOLDER = Path("/proc/driver/nvidia/gpus")
_UNITS = MappingProxyType({"K": 2**10, "M": 2**20, "G": 2**30})


def last_level_cache_bytes(folder: Path = _CACHE_FOLDER) -> int:
    """Return the size of the first core's largest cache from Linux's sysfs; elsewhere, an assumed size."""
    sizes = [file.read_text().strip() for file in folder.glob("index*/size")]
    n_bytes = [int(size[:-1]) * _UNITS[size[-1]] for size in sizes if size and size[-1] in _UNITS]
    return max(n_bytes, default=FALLBACK_CACHE_BYTES)


def default_threads() -> int:
    """Return the number of physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def host_facts(device: str = "cpu") -> Mapping[str, str | int]:
    """Return a description of the machine for readers of the profile; the same in every run."""
    facts: dict[str, str | int] = {
        "cpu": _cpu_name(),
        "machine": platform.machine(),
        "system": platform.system(),
        "n_cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "last_level_cache_bytes": last_level_cache_bytes(),
    }
    return facts | ({"gpu": _gpu_name()} if device == "cuda" else {})


def software_versions() -> Mapping[str, str]:
    """Return the versions of Python, torch and transformers, read without importing them."""
    found = {"python": platform.python_version()}
    for package in _MEASURED_WITH:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def host_identity(device: str = "cpu") -> str:
    """Return a SHA-256 digest (hexadecimal) that differs between machines with different computing times."""
    return hashlib.sha256(json.dumps(dict(host_facts(device)), sort_keys=True).encode()).hexdigest()


def _cpu_name() -> str:
    """Read the processor's marketing name, which `platform` reports only on some systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


def _gpu_name() -> str:
    """Read the name of the first NVIDIA GPU from its driver."""
    for file in sorted(_NVIDIA_FOLDER.glob("*/information")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return "unknown"
