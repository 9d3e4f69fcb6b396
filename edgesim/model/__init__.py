"""Models of transformers and their compute times: architectures, profiles, scaling. Does not import torch."""

from __future__ import annotations

__all__: list[str] = []
