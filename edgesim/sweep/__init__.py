"""Many runs of one scenario over values of what it says: grids, capacities, replications as needed.

The package can be called: ``edgesim.sweep(scenario, {path: values})`` is :func:`edgesim.api.sweep`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__: list[str] = []


class _Callable(ModuleType):
    """A package whose name is that of a function for users of Python, too, as ``edgesim.run`` is one."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return import_module("edgesim.api").sweep(*args, **options)


sys.modules[__name__].__class__ = _Callable
