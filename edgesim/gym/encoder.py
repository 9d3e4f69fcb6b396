"""Encoding of observations as a torch module."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from edgesim.planning.splitting.encoding import RAW, SCALED, Encoding

__all__ = ["Encoder"]


class Encoder(BaseFeaturesExtractor):
    """Feature extractor of an :class:`~edgesim.planning.splitting.encoding.Encoding`; not trainable."""

    def __init__(self, observation_space: gymnasium.spaces.Box, encoding: Encoding) -> None:
        super().__init__(observation_space, encoding.n_inputs)
        self.encoding = encoding
        self._low = [float(each) for each in encoding.low]
        self._span = [float(each) for each in np.subtract(encoding.high, encoding.low)]
        self._at: list[Any] = []
        self._below: list[Any] = []
        self._above: list[Any] = []
        for which, n_knots in enumerate(encoding.knots):
            at = encoding.shares(which) if n_knots > SCALED else np.zeros(1)
            steps = np.concatenate([[1.0], np.diff(at), [1.0]])
            for kept, each in ((self._at, at), (self._below, 1 / steps[:-1]), (self._above, -1 / steps[1:])):
                kept.append(torch.as_tensor(each, dtype=torch.float32))

    def forward(self, seen: Any) -> Any:
        """Encode observations [n, n_seen] as network inputs [n, n_inputs]."""
        parts = []
        for place, n_knots in enumerate(self.encoding.knots):
            value = seen[:, place : place + 1]
            if n_knots != RAW:
                value = ((value - self._low[place]) / self._span[place]).clamp(0.0, 1.0)
            if n_knots == SCALED:
                value = 2 * value - 1
            elif n_knots > SCALED:
                away = value - self._at[place]
                nearest = torch.minimum(away * self._below[place], away * self._above[place])
                value = (1.0 + nearest).clamp(min=0.0)
            parts.append(value)
        if self.encoding.is_crossed:
            parts.append((parts[0].unsqueeze(2) * parts[1].unsqueeze(1)).flatten(1))
        return torch.cat(parts, dim=1)
