"""Laws of counters over time, alone and against the devices table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesim.trace.laws.law import RELATIVE, Law, RunContext, is_close
from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import CounterName

__all__ = ["COUNTER_LAWS", "Counts"]

DEVICE = Law("counters.device", "a device of the devices table")
PEER = Law("counters.peer", "another device of the devices table for snr_db, else null", ("counters.name",))
WITHIN = Law("counters.at_s", "no later than the end of the run", ("devices.duration_s",))
IN_ORDER = Law("counters.at_s", "no earlier than the row before")
GIVEN = Law("counters.value", "a value, except for snr_db", ("counters.name",))
POSITIVE = Law("counters.value", "0 or more, except for snr_db", ("counters.name",))
PEAK = Law(
    "devices.peak_memory_bytes",
    "resident_bytes and the largest kv_bytes together",
    ("counters.value", "counters.name"),
)
LEFT = Law(
    "counters.value",
    "at the end, the first battery_j less the energy that the device has drawn",
    ("devices.energy_compute_j", "devices.energy_tx_j", "devices.energy_rx_j", "devices.energy_idle_j"),
)
THERE = Law("counters.device", "a table, as run.json says that counters were recorded")

COUNTER_LAWS = (DEVICE, PEER, WITHIN, IN_ORDER, GIVEN, POSITIVE, PEAK, LEFT, THERE)

_DRAWN = ("energy_compute_j", "energy_tx_j", "energy_rx_j", "energy_idle_j")


class Counts:
    """Check of one run's counters, added in parts, against each other and the devices table."""

    def __init__(self, there: RunContext) -> None:
        self._there = there
        n = len(there.devices)
        self._last_at_s = -np.inf
        self._n_rows = 0
        self._resident_bytes, self._kv_bytes = np.full(n, np.nan), np.full(n, -np.inf)
        self._first_j, self._last_j = np.full(n, np.nan), np.full(n, np.nan)

    def add(self, rows: Rows) -> Iterator[str]:
        """Add a part, and yield the violations in its rows."""
        if not len(rows):
            return
        self._n_rows += len(rows)
        device, value, at_s = self._there.device_of(rows), rows.floats("value"), rows.floats("at_s")
        peer = self._there.device_of(rows, "peer")
        is_snr = rows.named("name", CounterName.SNR_DB)
        is_null = rows.is_null("value")
        yield from DEVICE.broken(rows, device < 0)
        is_end = (peer >= 0) & (peer != device)
        yield from PEER.broken(rows, np.where(is_snr, ~is_end, ~rows.is_null("peer")))
        yield from WITHIN.broken(rows, at_s > self._there.duration_s)
        yield from IN_ORDER.broken(rows, at_s < np.append(self._last_at_s, at_s[:-1]))
        self._last_at_s = float(at_s[-1])
        yield from GIVEN.broken(rows, is_null & ~is_snr)
        yield from POSITIVE.broken(rows, ~is_snr & ~is_null & (value < 0.0))

        def of(name: CounterName) -> tuple[IntArray, FloatArray]:
            which: BoolArray = rows.named("name", name) & (device >= 0)
            return device[which], value[which]

        place, resident_bytes = of(CounterName.RESIDENT_BYTES)
        self._resident_bytes[place] = resident_bytes
        np.maximum.at(self._kv_bytes, *of(CounterName.KV_BYTES))
        place, left_j = of(CounterName.BATTERY_J)
        self._last_j[place] = left_j  # the last row of each device is stored
        first, row = np.unique(place, return_index=True)
        is_new = np.isnan(self._first_j[first])
        self._first_j[first[is_new]] = left_j[row[is_new]]

    def close(self) -> Iterator[str]:
        """Check the devices table against the counters, and yield the violations."""
        devices = self._there.devices
        if not self._n_rows:
            if self._there.run.get("counters") and len(devices):
                yield THERE.sentence("all rows", "no table", THERE.says)
            return
        most_bytes = self._resident_bytes + self._kv_bytes
        peak_bytes = devices.floats("peak_memory_bytes")
        yield from PEAK.broken(devices, np.isfinite(most_bytes) & (most_bytes != peak_bytes), most_bytes)
        drawn_j = sum(devices.floats(column) for column in _DRAWN)
        expected_j = np.maximum(0.0, self._first_j - drawn_j)
        off = ~np.isnan(self._first_j) & ~is_close(self._last_j, expected_j, RELATIVE * self._first_j)
        for row in np.flatnonzero(off)[:1].tolist():
            yield LEFT.sentence(
                devices.whose(row), f"{self._last_j[row]} J", f"{LEFT.says} ({expected_j[row]} J)"
            )
