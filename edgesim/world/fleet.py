"""Planner's view of the fleet before time zero: devices, times of passes and messages, and memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesim.errors import PlacementError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.model.architecture import Architecture, Slice
from edgesim.nearest import suggest
from edgesim.radio.collective.band import CollectiveBand, band_of
from edgesim.rng import Streams
from edgesim.workload.rates import mean_rates_hz
from edgesim.workload.requests import Extent, MeanLengths
from edgesim.world.device import Device
from edgesim.world.routes import Network
from edgesim.world.world import World

__all__ = ["Fleet"]


@dataclass(frozen=True)
class Fleet:
    """Information available to ``place``: all devices, the network, and the workload's distributions.

    Attributes
    ----------
    model
        The scenario's model.
    typical
        Mean prompt and output lengths of the workload's distributions.
    extent
        Longest lengths that occur in the planned replications.
    sources
        Devices at which requests arise.
    rates_hz
        Long-run requests per second at each source; empty if they depend on the answers.
    exits
        Exit records of the measured model on text for tuning thresholds; None if nothing was measured.
    is_tuning_apart
        Whether that text differs from the text on which answers are evaluated.
    quality
        Answer quality under impairments; None if the scenario has no such table.
    propagated_rules
        Exit rules under which answers with propagated caches were measured; others are unknown.
    """

    model: Architecture
    typical: MeanLengths
    extent: Extent
    sources: tuple[str, ...]
    prompt_bytes_per_token: int
    answer_bytes_per_token: int
    _network: Network
    _bands: tuple[CollectiveBand, ...] = ()
    rates_hz: Mapping[str, float] = field(default_factory=dict)
    exits: ExitRecords | None = None
    is_tuning_apart: bool = False
    quality: QualityTable | None = None
    propagated_rules: tuple[ExitRule, ...] = ()

    @classmethod
    def of(cls, world: World, extent: Extent | None = None) -> Fleet:
        """Return the fleet of a world; for several replications, `extent` must cover all of them."""
        streams = Streams(world.seed, world.replication)
        return cls(
            model=world.model,
            typical=world.workload.typical,
            extent=extent or world.workload.extent(streams),
            sources=world.workload.sources,
            prompt_bytes_per_token=world.prompt_bytes_per_token,
            answer_bytes_per_token=world.answer_bytes_per_token,
            _network=Network(world.devices, world.links, world.model.activation_bytes(1)),
            _bands=tuple(world.bands.values()),
            rates_hz=mean_rates_hz(world.workload, streams),
            exits=world.exits if world.tuning_exits is None else world.tuning_exits,
            is_tuning_apart=world.tuning_exits is not None,
            quality=world.quality,
            propagated_rules=() if world.paths is None else world.paths.rules,
        )

    @property
    def devices(self) -> tuple[Device, ...]:
        """All computing devices, in the scenario's order."""
        return tuple(d for d in self._network.devices.values() if d.timing is not None)

    def device(self, id: str) -> Device:  # the name used in traces and scenarios
        """Return a device by its id."""
        return self._network.devices[id]

    def select(self, names: Iterable[str]) -> tuple[str, ...]:
        """Resolve names of devices or groups to ids of computing devices, in order.

        Raises
        ------
        PlacementError
            If a name is neither a device's nor a group's (the message suggests the nearest), or a switch's.
        """
        chosen: dict[str, None] = {}
        for name in names:
            members = [d.id for d in self.devices if name in (d.id, d.group)]
            if not members and name in self._network.devices:
                raise PlacementError(f"{name!r} is a switch and computes nothing; name a computing device")
            if not members:
                known = sorted({d.id for d in self.devices} | {d.group for d in self.devices})
                raise PlacementError(
                    f"no computing device or group is called {name!r}; {suggest(name, known)}"
                )
            chosen.update(dict.fromkeys(members))
        return tuple(chosen)

    def seconds(self, device: str, part: Slice, *, n_new: int, n_context: int, batch: int = 1) -> float:
        """Time of one pass of a part of the model on a device [s]; the mean, if times are drawn.

        For a device with varying speed, at its speed at time zero.

        Parameters
        ----------
        batch
            Number of requests in the pass.
        """
        timing = self.device(device).timing
        if timing is None:
            raise PlacementError(f"{device!r} is a switch and computes nothing")
        pass_s = float(timing.seconds(part, batch=batch, n_new=n_new, n_context=n_context))
        return pass_s / self.device(device).speed_at(0.0)

    def service_scv(self, device: str) -> float:
        """Squared coefficient of variation of a device's service times about their means; 0: constant.

        For queueing formulas: the mean wait in M/G/1 with mean service time S at load rho is
        rho S (1 + scv) / (2 (1 - rho)) (Pollaczek and Khinchine). Does not include the variation between
        passes of different lengths.
        """
        law = self.device(device).service
        return 0.0 if law is None else law.scv

    def request_seconds(self, device: str, part: Slice, *, batch: int = 1) -> float:
        """Compute time of a part of the model for a typical request, prefill and decode [s].

        Decode steps are evaluated at the middle context, which is exact for times linear in the context;
        without a KV cache, as prefills of increasing length, at up to 64 lengths.

        Parameters
        ----------
        batch
            Number of requests always computed together, each of which is charged an equal part.
        """
        n_prompt, n_steps = round(self.typical.n_prompt_tokens), self.typical.n_output_tokens - 1
        prefill_s = self.seconds(device, part, n_new=max(1, n_prompt), n_context=0, batch=batch)
        if n_steps <= 0:
            return prefill_s / batch
        if not self.model.keeps_cache:
            lengths = np.linspace(n_prompt + 1, n_prompt + n_steps, min(64, math.ceil(n_steps))).round()
            steps = [self.seconds(device, part, n_new=int(n), n_context=0, batch=batch) for n in lengths]
            return (prefill_s + n_steps * float(np.mean(steps))) / batch
        middle = max(1, round(n_prompt + (n_steps - 1) / 2))
        step_s = self.seconds(device, part, n_new=1, n_context=middle, batch=batch)
        return (prefill_s + n_steps * step_s) / batch

    def transfer_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """End-to-end time of one message on an idle network [s]."""
        return self._network.seconds(source, target, size_bytes)

    def are_linked(self, source: str, target: str) -> bool:
        """Whether a direct link connects two devices."""
        return self._network.has_link(source, target)

    def hop_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Time of one message over the idle link between two neighbours, including endpoints [s]."""
        return self._network.hop_seconds(source, target, size_bytes)

    def request_transfer_seconds(self, source: str, target: str) -> float:
        """Time to send the activations of a whole typical request from one stage to the next [s]."""
        n_prompt, n_steps = self.typical.n_prompt_tokens, self.typical.n_output_tokens - 1
        token_bytes = self.model.activation_bytes(1)
        prefill_s = self.transfer_seconds(source, target, n_prompt * token_bytes)
        step_s = self.transfer_seconds(source, target, self._step_tokens * token_bytes)
        return prefill_s + max(0.0, n_steps) * step_s

    @property
    def _step_tokens(self) -> float:
        """Mean number of hidden states sent per decode step: one, or the whole text without a KV cache."""
        if self.model.keeps_cache:
            return 1.0
        return self.typical.n_prompt_tokens + self.typical.n_output_tokens / 2.0

    def request_return_seconds(self, source: str, target: str) -> float:
        """Time to return every token id of a typical request, one at a time [s]."""
        return self.typical.n_output_tokens * self.transfer_seconds(
            source, target, self.answer_bytes_per_token
        )

    def request_link_seconds(self, source: str, target: str) -> float:
        """Time for which a typical request's activations occupy the slowest link on the route [s].

        Excludes propagation delay, which does not occupy a link; :meth:`request_message_seconds` gives the
        occupancy of endpoints.
        """
        n_steps = max(0.0, self.typical.n_output_tokens - 1)
        n_tokens = self.typical.n_prompt_tokens + n_steps * self._step_tokens
        return self._network.busiest_seconds(source, target, n_tokens * self.model.activation_bytes(1))

    def request_message_seconds(self, device: str) -> float:
        """Endpoint time of a device to receive and forward a typical request's activations [s]."""
        endpoint, token_bytes = self.device(device).endpoint, self.model.activation_bytes(1)
        prefill_s = endpoint.seconds(self.typical.n_prompt_tokens * token_bytes)
        n_steps = max(0.0, self.typical.n_output_tokens - 1)
        return 2 * (prefill_s + n_steps * endpoint.seconds(self._step_tokens * token_bytes))

    def room_bytes(self, device: str) -> int:
        """Memory for weights and KV caches: total memory less that of the serving process [byte]."""
        return self.device(device).memory_bytes - self.device(device).process_bytes

    def weight_room_bytes(self, device: str) -> int:
        """Largest weights that a device can load, given the copies at the peak of loading [byte]."""
        return int(self.room_bytes(device) / self.device(device).load_copies)

    def kv_bytes(self, n_blocks: int) -> int:
        """KV cache of the longest request for this many blocks [byte]."""
        return self.extent.n_tokens * self.model.kv_bytes_per_token(n_blocks)

    def band(self, group: Iterable[str]) -> CollectiveBand | None:
        """Return the first band reserved for sums of the whole group; None if there is none."""
        return band_of(self._bands, group)

    def check_reach(self, source: str, target: str) -> None:
        """Raise PlacementError unless there is a route from one device to the other."""
        self._network.path(source, target)
