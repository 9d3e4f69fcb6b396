"""A policy's encoding of observations inside a torch network."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from edgesim.planning.splitting.encoding import RAW, SCALED, Encoding

__all__ = ["Encoder"]


class Encoder(BaseFeaturesExtractor):
    """The same inputs as :class:`~edgesim.planning.splitting.encoding.Encoding` makes; nothing is learned."""

    def __init__(self, observation_space: gymnasium.spaces.Box, encoding: Encoding) -> None:
        super().__init__(observation_space, encoding.n_inputs)
        self.encoding = encoding
        self._low = [float(each) for each in encoding.low]
        self._span = [float(each) for each in np.subtract(encoding.high, encoding.low)]

    def forward(self, seen: Any) -> Any:
        """Inputs of observations: [n, n_seen] to [n, n_inputs]."""
        parts = []
        for place, n_knots in enumerate(self.encoding.knots):
            value = seen[:, place : place + 1]
            if n_knots != RAW:
                value = ((value - self._low[place]) / self._span[place]).clamp(0.0, 1.0)
            if n_knots == SCALED:
                value = 2 * value - 1
            elif n_knots > SCALED:
                away = (value * (n_knots - 1) - torch.arange(n_knots, device=seen.device)).abs()
                value = (1.0 - away).clamp(min=0.0)
            parts.append(value)
        return torch.cat(parts, dim=1)
