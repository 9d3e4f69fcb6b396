"""Discrete-event simulation of LLM inference over edge devices, charged with measured compute.

What a user's own code needs is importable from here; inside the package everything is imported from
the module that defines it.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
