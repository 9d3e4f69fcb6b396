"""Counters over time: KV caches at every change, batteries and radio links at regular instants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgesim.engine.memory.memory import DeviceMemory
from edgesim.engine.network.hop import Hop
from edgesim.engine.observation.current_state import Looking
from edgesim.trace.counter_buffer import Counter, CounterBuffer
from edgesim.trace.schema import CounterName

__all__ = ["Counting"]


class Counting:
    """Write the table ``counters`` of one run, without changing the run.

    For a terminal that changes cells, only the link to the serving cell is sampled.

    Parameters
    ----------
    hops
        By sender and peer, all directions of links.
    buffer
        Buffer that the values are written to.
    """

    def __init__(
        self,
        looking: Looking,
        memories: Mapping[str, DeviceMemory],
        hops: Mapping[tuple[str, str], Hop],
        buffer: CounterBuffer,
    ) -> None:
        self._looking, self._buffer = looking, buffer
        self._sampled_at_s = -1.0
        for device, memory in memories.items():
            resident = buffer.code_of(Counter(CounterName.RESIDENT_BYTES, device))
            buffer.add(resident, 0.0, memory.resident_bytes)
            changed = self._change(buffer.code_of(Counter(CounterName.KV_BYTES, device)))
            changed(memory.used_bytes - memory.resident_bytes)
            memory.on_change = changed
        self._batteries = [
            (partial(looking.battery_j, device), buffer.code_of(Counter(CounterName.BATTERY_J, device)))
            for device in memories
            if looking.battery_j(device) is not None
        ]
        self._links = [
            (ends, buffer.code_of(Counter(CounterName.SNR_DB, *ends)))
            for ends, hop in hops.items()
            if hop.link.radio is not None
        ]

    def sample(self) -> None:
        """Record the values at this instant."""
        now_s = self._sampled_at_s = self._looking.now_s
        for left_j, code in self._batteries:
            self._buffer.add(code, now_s, left_j() or 0.0)
        for ends, code in self._links:
            state = self._looking.link(*ends)
            if state.is_serving and state.snr_db is not None:
                self._buffer.add(code, now_s, state.snr_db)

    def finish(self) -> None:
        """Record the values at the end of the run, before its accounts are closed, and flush the buffer."""
        if self._sampled_at_s < self._looking.now_s:
            self.sample()
        self._buffer.flush()

    def _change(self, code: int) -> Callable[[int], None]:
        looking, add = self._looking, self._buffer.add
        return lambda kv_bytes: add(code, looking.now_s, kv_bytes)
