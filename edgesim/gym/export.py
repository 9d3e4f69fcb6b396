"""Conversion of policies trained by stable-baselines3 to plain arrays."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import nn

from edgesim.errors import InputError
from edgesim.gym.encoder import Encoder
from edgesim.planning.splitting.encoding import RAW, Encoding
from edgesim.planning.splitting.policy import Layer, Policy, PolicyRecord

__all__ = ["from_sb3"]


def from_sb3(model: Any, record: PolicyRecord | None = None) -> Policy:
    """Convert the actor of a PPO or A2C model, or the Q network of a DQN model, to a policy.

    Its actions equal those of ``model.predict(seen, deterministic=True)``.

    Raises
    ------
    InputError
        If the model's network is not a multilayer perceptron with tanh or ReLU over an encoding.
    """
    policy = model.policy
    is_value = hasattr(policy, "q_net")
    modules = list(policy.q_net.q_net) if is_value else [*policy.mlp_extractor.policy_net, policy.action_net]
    linear = [each for each in modules if isinstance(each, nn.Linear)]
    kinds = {type(each) for each in modules} - {nn.Linear}
    if len(kinds) > 1 or not kinds <= {nn.Tanh, nn.ReLU} or not isinstance(modules[-1], nn.Linear):
        raise InputError(
            f"policy: a network of {[type(each).__name__ for each in modules]}; expected linear layers with "
            "tanh or ReLU in between"
        )
    scores: Literal["logits", "returns"] = "returns" if is_value else "logits"
    return Policy(
        encoding=_encoding(policy.q_net if is_value else policy, model.observation_space),
        layers=tuple(_layer(each) for each in linear),
        activation="relu" if nn.ReLU in kinds else "tanh",
        scores=scores,
        record=record or PolicyRecord(),
    )


def _layer(module: nn.Linear) -> Layer:
    return module.weight.detach().cpu().numpy().copy(), module.bias.detach().cpu().numpy().copy()


def _encoding(holder: Any, space: Any) -> Encoding:
    extractor = getattr(holder, "pi_features_extractor", None) or holder.features_extractor
    if isinstance(extractor, Encoder):
        return extractor.encoding
    n_seen = int(np.prod(space.shape))
    return Encoding(np.zeros(n_seen), np.ones(n_seen), (RAW,) * n_seen)
