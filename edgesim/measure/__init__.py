"""The measuring of real forward passes: the only importer of torch and transformers.

This package itself imports neither: a program that finds its profile in the cache never loads them.
"""

from __future__ import annotations

__all__: list[str] = []
