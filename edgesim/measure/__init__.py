"""Measurements of real forward passes; the only package that imports torch and transformers.

Importing this package loads neither: a program that finds its profile in the cache never loads them.
"""

from __future__ import annotations

__all__: list[str] = []
