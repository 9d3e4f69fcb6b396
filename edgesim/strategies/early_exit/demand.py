"""Demand of a request of several tokens on servers and links: its prompt, and its later tokens' passes.

With ``recompute`` and ``propagate`` the prompt passes every stage, wherever its own answer leaves. Each of M
later tokens reaches stage h with probability r_h. Tokens that left before a stage wait for the next token
that reaches it, and go along with that token. If tokens leave independently of one another, the mean number
of later tokens that reach a stage with j others along (all since the last that reached it) is

::

    c_j = r (1 - r)^j ((M - 1 - j) r + 1),    j = 0 .. M - 1

(j tokens that do not reach the stage, then one that does: at one position they follow the prompt, at M - 1 -
j positions a token that reached it). With ``recompute`` these are passes of 1 + j tokens; with ``propagate``
passes of one token, each after the keys and values of j. All requests thus reach every stage, and exits
reduce their demand there. With ``same-path`` a request, prompt included, goes only as far as its prompt's
answer: exits reduce the number of requests, and a request's demand on a stage does not change.

Heads are computed where a token may leave, as in :mod:`.generation`; at closed exits they are not.

Not modelled: similarity of neighbouring tokens, which makes longer runs of tokens wait; the return of token
ids; the growth of a pass with its context (the middle context is used for all); short passes that wait behind
long prompts, first come first served (the formulas treat a request's work as one piece); requests of one
token among longer ones, which leave with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.engine.device.price import Price
from edgesim.model.architecture import Slice
from edgesim.model.fill_timing import FillTiming
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.strategies.early_exit.layout import Layout, without_head
from edgesim.strategy import CacheFill
from edgesim.world.fleet import Fleet

__all__ = ["SeveralTokens", "Traffic", "device_of", "hop_bytes", "n_reaching", "traffic_of"]

Floats = NDArray[np.float64]
Traffic = tuple[float, float]
"""Mean number of messages of a request from one stage to the next, and their mean size [bytes]."""

_EXACT = 16  # up to this many tokens along, every number is priced; beyond, each is a quarter larger
_GROWTH = 1.25


def n_reaching(share: float, n_later: int) -> Floats:
    """Return the mean number of later tokens that reach a stage, by number of others along: [n_later].

    Parameters
    ----------
    share
        Probability that a token reaches the stage, independently of the others.
    """
    along = np.arange(n_later)
    count: Floats = share * (1 - share) ** along * ((n_later - 1 - along) * share + 1)
    return count


def hop_bytes(fleet: Fleet, stage: int) -> float:
    """Return a typical prompt's message size to a stage: token ids to the first, hidden states to others."""
    n_tokens = fleet.typical.n_prompt_tokens
    return n_tokens * (fleet.prompt_bytes_per_token if stage == 1 else fleet.model.activation_bytes(1))


def device_of(name: str) -> str:
    """Return the device of a node, from the node's name."""
    return name.partition("/")[2]


def traffic_of(fleet: Fleet, caches: CacheFill, continues: Floats) -> list[Traffic]:
    """Return a typical request's messages to each stage, by continuation shares: [n_stages]."""
    found: list[Traffic] = [(1.0, hop_bytes(fleet, 1))]
    token_bytes, n_later = fleet.model.activation_bytes(1), fleet.typical.n_output_tokens - 1
    for stage, share in enumerate(np.cumprod(continues).tolist(), 2):
        n_messages, n_tokens = n_later, n_later
        if caches is not CacheFill.SAME_PATH and n_later > 0:
            counts, scale = _counts(share, n_later)
            n_messages = scale * float(counts.sum())
            n_tokens = scale * float(counts @ np.arange(1, len(counts) + 1))
        total = 1 + n_messages
        found.append((total, (hop_bytes(fleet, stage) + n_tokens * token_bytes) / total))
    return found


@dataclass(frozen=True, eq=False)
class SeveralTokens:
    """Times of the parts of a typical request on a network, from which shares determine the demand.

    Attributes
    ----------
    n_later
        Mean number of later tokens of a typical request, above 0.
    prompt_s : [n_nodes]
        Time of the prompt's pass without a head; 0 at end devices, like all times of nodes.
    prompt_head_s : [n_nodes]
        Time that a head adds to it.
    pass_s, head_s, fill_s : [n_nodes, n_sizes]
        Time of a later token's pass, by number of others along; the time that a head adds; and the time of
        the others' keys and values.
    sizes : [n_sizes]
        Numbers of tokens along that are priced, from 0.
    message_s, byte_s : [n_links]
        Time of a message: the constant part, and the time per byte.
    """

    fleet: Fleet
    caches: CacheFill
    n_later: float
    prompt_s: Floats
    prompt_head_s: Floats
    pass_s: Floats
    head_s: Floats
    fill_s: Floats
    sizes: NDArray[np.int64]
    message_s: Floats
    byte_s: Floats

    @classmethod
    def of(
        cls,
        layout: Layout,
        fleet: Fleet,
        caches: CacheFill,
        network: OffloadingNetwork,
        hop_s: Callable[[str, str, float], float],
    ) -> SeveralTokens:
        """Price the parts of a typical request on the nodes and links of a layout's network.

        Parameters
        ----------
        hop_s
            Function from two devices and a size in bytes to a message's time on an idle network.
        """
        n_later = fleet.typical.n_output_tokens - 1
        sizes = _sizes(max(1, round(n_later)))
        times = _Times(fleet, sizes)
        rows = [
            times.of(device_of(name), layout.parts[stage - 1]) if stage else times.nothing
            for name, stage in zip(network.names, network.stage.tolist(), strict=True)
        ]
        prompt_s, prompt_head_s, pass_s, head_s, fill_s = (np.array(each) for each in zip(*rows, strict=True))
        least = float(fleet.model.activation_bytes(1))
        most = least * (fleet.typical.n_prompt_tokens + n_later)
        ends = [
            (device_of(network.names[tail]), device_of(network.names[head]))
            for tail, head in zip(network.tail.tolist(), network.head.tolist(), strict=True)
        ]
        small_s, large_s = (np.array([hop_s(*pair, size) for pair in ends]) for size in (least, most))
        byte_s = (large_s - small_s) / (most - least)
        return cls(
            fleet,
            caches,
            n_later,
            prompt_s,
            prompt_head_s,
            pass_s,
            head_s,
            fill_s,
            sizes,
            small_s - byte_s * least,
            byte_s,
        )

    def under(self, network: OffloadingNetwork, continues: Floats) -> OffloadingNetwork:
        """Return the network with these continuation shares after sub-models 1 .. H - 1: [n_stages - 2]."""
        reach = np.concatenate([[1.0], np.cumprod(continues)])
        asks = np.append(continues < 1, True)  # whether a head is computed
        by_node = np.maximum(network.stage - 1, 0)
        if self.caches is CacheFill.SAME_PATH:
            leaves = np.append(1 - continues, 1.0)
            service_s = self.prompt_s + asks[by_node] * self.prompt_head_s
            service_s += self.n_later * (self.pass_s[:, 0] + leaves[by_node] * self.head_s[:, 0])
            goes_on = continues
        else:
            weights = self._weights(reach)[by_node]
            heads_s = asks[by_node, None] * self.head_s
            if self.caches is CacheFill.RECOMPUTE:
                passes_s = self.pass_s + heads_s
            else:
                passes_s = self.pass_s[:, :1] + heads_s[:, :1] + self.fill_s
            service_s = self.prompt_s + (reach * asks)[by_node] * self.prompt_head_s
            service_s += (weights * passes_s).sum(axis=1)
            goes_on = np.ones(len(continues))
        n_messages, mean_bytes = np.array(traffic_of(self.fleet, self.caches, continues)).T
        to = network.stage[network.head] - 1
        transfer_s = n_messages[to] * (self.message_s + mean_bytes[to] * self.byte_s)
        return replace(
            network,
            service_s=service_s,
            transfer_s=transfer_s,
            continues=np.concatenate([[1.0], goes_on, [0.0]]),
        )

    def _weights(self, reach: Floats) -> Floats:
        """Return how often each priced pass occurs in a request, by stage: [n_stages, n_sizes].

        A number of tokens along that lies between two priced ones is divided between them, as times are
        interpolated linearly.
        """
        rows = []
        for share in reach.tolist():
            counts, scale = _counts(share, self.n_later)
            along = np.arange(len(counts))
            right = np.minimum(np.searchsorted(self.sizes, along), len(self.sizes) - 1)
            left = np.maximum(right - 1, 0)
            gap = np.maximum(self.sizes[right] - self.sizes[left], 1)
            part = (self.sizes[right] - along) / gap  # weight of the lower one
            n_sizes = len(self.sizes)
            row = np.bincount(right, counts * (1 - part), n_sizes) + np.bincount(left, counts * part, n_sizes)
            rows.append(scale * row)
        return np.array(rows)


class _Times:
    """Times of parts of requests on devices, computed once per kind of device."""

    def __init__(self, fleet: Fleet, sizes: NDArray[np.int64]) -> None:
        self._fleet, self._sizes = fleet, sizes.tolist()
        self._known: dict[tuple[int, Slice], tuple[Any, ...]] = {}
        zeros = np.zeros(len(self._sizes))
        self.nothing = (np.float64(0.0), np.float64(0.0), zeros, zeros, zeros)

    def of(self, device: str, part: Slice) -> tuple[Any, ...]:
        """Return the times of prompt, its head, passes, their heads, and fills, at the speed of time zero."""
        there = self._fleet.device(device)
        timing = there.timing
        assert timing is not None
        key = (id(timing), part)
        if key not in self._known:
            n_prompt = max(1, round(self._fleet.typical.n_prompt_tokens))
            n_later = self._fleet.typical.n_output_tokens - 1
            context = max(1, round(n_prompt + (n_later - 1) / 2))
            bare = Price(timing, without_head(part))
            full = Price(timing, Slice(part.first, part.last, part.embedding, True)) if part.head else bare
            prompt_s, with_head_s = bare.alone(n_prompt, 0), full.alone(n_prompt, 0)
            pass_s, all_s = (
                np.array([price.alone(1 + n, max(1, context - n)) for n in self._sizes])
                for price in (bare, full)
            )
            fill = Price(FillTiming(timing, self._fleet.model), Slice(part.first, part.last))
            fill_s = np.array([fill.alone(n, 1) if n else 0.0 for n in self._sizes])
            self._known[key] = (
                np.float64(prompt_s),
                np.float64(with_head_s - prompt_s),
                pass_s,
                all_s - pass_s,
                fill_s,
            )
        speed = there.speed_at(0.0)
        return tuple(each / speed for each in self._known[key])


def _counts(share: float, n_later: float) -> tuple[Floats, float]:
    """Return the passes by number of tokens along, for n_later rounded, and the factor that corrects this."""
    whole = max(1, round(n_later))
    return n_reaching(share, whole), n_later / whole


def _sizes(n_later: int) -> NDArray[np.int64]:
    """Return the numbers of tokens along to price: from 0 to n_later - 1, increasingly sparse."""
    found = list(range(min(n_later, _EXACT)))
    while found[-1] < n_later - 1:
        found.append(min(n_later - 1, int(found[-1] * _GROWTH) + 1))
    return np.array(found, np.int64)
