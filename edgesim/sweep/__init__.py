"""Repeated runs of one scenario: grids of parameter values, capacity searches, replications to a precision.

The package is callable: ``edgesim.sweep(scenario, {path: values})`` is :func:`edgesim.api.sweep`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__: list[str] = []


class _Callable(ModuleType):
    """Module that can be called like the function of the same name in :mod:`edgesim.api`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return import_module("edgesim.api").sweep(*args, **options)


sys.modules[__name__].__class__ = _Callable
