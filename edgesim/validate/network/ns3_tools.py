"""Compile and run the ns-3 programs shipped in this package, where ns-3 is installed.

Debian's packages ``ns3`` and ``libns3-dev`` provide it; ``g++`` and ``pkg-config`` find it. Programs are
compiled into the caller's folder, from edgesim's own sources alone.
"""

from __future__ import annotations

import csv
import io
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from edgesim.errors import InputError

__all__ = ["INSTALL", "Ns3", "find_ns3"]

INSTALL = "apt-get install ns3 libns3-dev g++ pkg-config"

_MODULES: dict[str, tuple[str, ...]] = {
    "wifi": ("wifi", "mobility", "propagation", "network", "core"),
    "tandem": ("point-to-point", "network", "core"),
}


@dataclass(frozen=True, slots=True)
class Ns3:
    """An installed ns-3.

    Parameters
    ----------
    version
        Version of its package.
    """

    version: str

    def compile(self, program: str, folder: Path) -> Path:
        """Compile one of the shipped programs, and return its path."""
        flags = _flags([f"ns3-{module}" for module in _MODULES[program]])
        target = folder / program
        with as_file(files("edgesim.validate.network") / "ns3" / f"{program}.cc") as source:
            command = ["g++", "-O1", "-std=c++17", str(source), "-o", str(target), *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(
                f"ns-3 {self.version}: g++ cannot compile {program}.cc against it; expected an ns-3 like "
                f"3.37, for which it was written; compiler output:\n{done.stderr[-2000:]}"
            )
        return target

    def run(self, program: Path, arguments: Mapping[str, object]) -> list[dict[str, float]]:
        """Run a compiled program, and return the rows of the CSV that it prints."""
        options = [f"--{name}={value}" for name, value in arguments.items()]
        done = subprocess.run([str(program), *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(
                f"ns-3 {self.version}: {program.name} {' '.join(options)} ended with status "
                f"{done.returncode}; error output:\n{done.stderr[-2000:]}"
            )
        rows = csv.DictReader(io.StringIO(done.stdout))
        return [{name: float(value) for name, value in row.items()} for row in rows]


def find_ns3() -> Ns3 | str:
    """Return the installed ns-3, or a description of the missing part."""
    for tool in ("g++", "pkg-config"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    known = subprocess.run(
        ["pkg-config", "--modversion", "ns3-wifi"], capture_output=True, text=True, check=False
    )
    if known.returncode:
        return "pkg-config does not find ns3-wifi"
    return Ns3(known.stdout.strip())


def _flags(packages: list[str]) -> list[str]:
    """Return the compiler flags that ns-3 programs need: its own headers and libraries.

    In Debian, pkg-config also returns a folder "/usr;" and headers of Python and XML, which are not installed
    with ns-3.
    """
    said = subprocess.run(
        ["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=True
    ).stdout
    flags = list(dict.fromkeys(shlex.split(said)))
    headers = [flag for flag in flags if flag.startswith("-I") and Path(flag[2:]).is_dir()]
    folders = [flag for flag in flags if flag.startswith("-L")]
    own = [flag for flag in flags if flag.startswith(("-lns3", "-llibns3"))]
    return [*headers, *folders, *own]
