"""Apply impairments inside a real forward pass, by hooks on the model's own modules.

In tensor parallelism, each output projection of attention and MLP is one all-reduce. (Phi, whose two halves
run in parallel, could sum both in one; it is treated like the others.) Biases are added once, after the sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.special import gammainc, gammaincinv

from edgesim.errors import InputError
from edgesim.measure.language_model import LanguageModel
from edgesim.model.answers.impairment import (
    OUTAGE_FLOOR,
    AllReduceNoise,
    Combined,
    DeviceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)

__all__ = ["impaired"]

Draws = Sequence[torch.Generator]
Hook = Callable[[Any, Any, Any], Any]
Change = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def impaired(
    language_model: LanguageModel, impairment: Impairment, generator: torch.Generator | Draws
) -> Iterator[None]:
    """Impair every forward pass of a model within the context.

    Parameters
    ----------
    generator
        Source of the draws, on the CPU: one for all sequences, or one for each sequence of a batch, which
        makes a sequence's draws independent of the others. Each place draws in the order of the pass, and the
        number of draws depends on the kind of impairment, not on its level. Passes with equal seeds at two
        levels therefore use the same noise, scaled; of two erasure probabilities the greater erases all that
        the lesser does.

    Raises
    ------
    InputError
        If the model has no such split, or fewer heads or columns than devices.
    """
    draws = (generator,) if isinstance(generator, torch.Generator) else tuple(generator)
    parts = impairment.parts if isinstance(impairment, Combined) else (impairment,)
    with ExitStack() as hooks:
        # A part without effect still draws if another follows, so that the draws of the latter are unchanged.
        last = max((i for i, part in enumerate(parts) if not part.is_nothing), default=-1)
        for part in parts[: last + 1]:
            for module, hook in _hooks(language_model, part, draws):
                hooks.callback(module.register_forward_hook(hook).remove)
        yield


def _hooks(language_model: LanguageModel, part: Impairment, draws: Draws) -> Iterator[tuple[Any, Hook]]:
    match part:
        case AllReduceNoise():
            for module, _ in _sums(language_model):
                yield module, _noise_on_sum(part.nmse, None, draws)
        case FadedNoise(block=None):
            for module, _ in _sums(language_model):
                yield module, _noise_on_sum(part.nmse, part.m, draws)
        case DeviceNoise():
            for module, units in _sums(language_model):
                yield module, _noise_on_parts(part.nmse, _shares(module, units, part.n_devices), draws)
        case Quantised():
            for module, units in _sums(language_model):
                yield module, _rounded_parts(int(part.bits), _shares(module, units, part.n_devices))
        case FadedNoise(nmse=nmse, m=m, block=int(block)):
            yield _split(language_model, block), _on_state(lambda state: _noisy(state, nmse, m, draws))
        case Erasure():
            yield _split(language_model, part.block), _on_state(lambda state: _erased(state, part, draws))
        case _:
            raise InputError(f"impairment {part!r}: edgesim cannot measure this kind")


def _sums(language_model: LanguageModel) -> Iterator[tuple[Any, int]]:
    """Yield the projections that are summed over devices, with the number of units of their inputs."""
    attention, mlp = language_model.places.summed
    for block in language_model.model.get_submodule(language_model.places.blocks).children():
        yield block.get_submodule(attention), language_model.n_heads
        narrow = block.get_submodule(mlp)
        yield narrow, _matrix(narrow).shape[0]


def _split(language_model: LanguageModel, block: int) -> Any:
    """Return the module whose output is the state after `block` blocks."""
    n_blocks = language_model.n_blocks
    if not 1 <= block < n_blocks:
        raise InputError(
            f"impairment after block {block}: model '{language_model.name}' has {n_blocks} blocks; "
            f"expected a split after 1 to {n_blocks - 1}"
        )
    return language_model.model.get_submodule(language_model.places.blocks)[block - 1]


def _matrix(module: Any) -> torch.Tensor:
    """Return a projection's weights, [n_in, n_out]."""
    weight: torch.Tensor = module.weight
    return weight.T if isinstance(module, torch.nn.Linear) else weight  # GPT-2's Conv1D stores this layout


def _shares(module: Any, n_units: int, n_devices: int) -> list[slice]:
    """Return each device's inputs of a projection: consecutive units (heads, columns), divided evenly.

    Query heads that share keys and values are adjacent, so they stay together where devices divide groups.
    """
    if n_devices > n_units:
        raise InputError(
            f"impairment with {n_devices} devices: only {n_units} heads or columns to divide; give fewer"
        )
    width = _matrix(module).shape[0] // n_units
    bounds = [width * (n_units * device // n_devices) for device in range(n_devices + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def _noise_on_sum(nmse: float, m: float | None, draws: Draws) -> Hook:
    def hook(module: Any, _: Any, output: torch.Tensor) -> torch.Tensor:
        total = output if module.bias is None else output - module.bias
        noise = _noise(_power(total), nmse, m, output.shape, draws)
        return output + noise

    return hook


def _noise_on_parts(nmse: float, shares: list[slice], draws: Draws) -> Hook:
    """Add the sum of the devices' noises in one draw: independent Gaussians sum to a Gaussian."""

    def hook(module: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        power = sum((_power(part) for part in _parts(module, inputs[0], shares)), torch.zeros(()))
        return output + _noise(power, nmse, None, output.shape, draws)

    return hook


def _rounded_parts(bits: int, shares: list[slice]) -> Hook:
    top = 2 ** (bits - 1) - 1

    def hook(module: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(output)
        for part in _parts(module, inputs[0], shares):
            step = part.abs().amax(dim=-1, keepdim=True) / top
            total += torch.where(step > 0, torch.round(part / step) * step, part)
        return total if module.bias is None else total + module.bias

    return hook


def _parts(module: Any, inputs: torch.Tensor, shares: list[slice]) -> Iterator[torch.Tensor]:
    """Yield each device's contribution to a projection's result, without the bias."""
    matrix = _matrix(module)
    for share in shares:
        yield inputs[..., share] @ matrix[share]


def _on_state(change: Change) -> Hook:
    """Make a hook that changes the hidden state in a block's output."""

    def hook(_: Any, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return hook


def _noisy(state: torch.Tensor, nmse: float, m: float | None, draws: Draws) -> torch.Tensor:
    return state + _noise(_power(state), nmse, m, state.shape, draws)


def _noise(
    power: torch.Tensor, nmse: float, m: float | None, shape: torch.Size, draws: Draws
) -> torch.Tensor:
    """Return Gaussian noise with a share `nmse` of each token's power [..., 1]; faded if m is given."""
    rows = _rows(shape, draws)
    if m is not None:
        gains = torch.stack([_gains(torch.rand(rows[0], dtype=torch.float64, generator=g), m) for g in draws])
        power = power / gains.reshape(shape[:-1]).unsqueeze(-1).to(power)
    normals = torch.stack([torch.randn(*rows, generator=generator) for generator in draws])
    return torch.sqrt(nmse * power) * normals.reshape(shape).to(power)


def _gains(uniforms: torch.Tensor, m: float) -> torch.Tensor:
    """Draw power gains of Nakagami fading with mean 1, conditioned on the outage floor, by inversion."""
    if math.isinf(m):
        return torch.ones_like(uniforms)
    outage = gammainc(m, m * OUTAGE_FLOOR)
    gains = gammaincinv(m, outage + (1 - outage) * uniforms.numpy()) / m
    return torch.from_numpy(np.asarray(gains))


def _erased(state: torch.Tensor, erasure: Erasure, draws: Draws) -> torch.Tensor:
    n_tokens, n_elements = _rows(state.shape, draws)
    size = erasure.packet_elements if erasure.unit == "packet" else 1
    n_packets = math.ceil(n_elements / size)
    uniforms = torch.stack([torch.rand(n_tokens, n_packets, generator=generator) for generator in draws])
    arrives = (uniforms >= erasure.p).repeat_interleave(size, dim=-1)[..., :n_elements]
    kept = torch.where(arrives.reshape(state.shape).to(state.device), state, 0.0)
    return kept / (1 - erasure.p) if erasure.is_rescaled else kept


def _power(vectors: torch.Tensor) -> torch.Tensor:
    """Return the mean square of each token's vector, [..., 1]."""
    return vectors.square().mean(dim=-1, keepdim=True)


def _rows(shape: torch.Size, draws: Draws) -> tuple[int, int]:
    """Return the number of tokens per generator, and of elements in each token's vector.

    Tokens may be laid out as [batch, tokens, elements] or, in some MLPs, [batch * tokens, elements].
    """
    n_tokens = math.prod(shape[:-1])
    if n_tokens % len(draws):
        raise InputError(f"{len(draws)} generators for {n_tokens} tokens; give one for each sequence")
    return n_tokens // len(draws), shape[-1]
