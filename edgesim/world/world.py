"""The simulated world of one replication, identical for every strategy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.model.answers.propagated_paths import PropagatedPaths
from edgesim.model.architecture import Architecture
from edgesim.radio.collective.band import CollectiveBand, band_of
from edgesim.rng import Streams
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Demand, Request
from edgesim.world.device import Device
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.medium import Medium
from edgesim.world.roaming import Roaming

__all__ = ["World"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One replication: devices, links and the workload, the same for every strategy.

    Parameters
    ----------
    horizon_s
        End of the window in which arrivals count [s]. None: the run ends when every request has ended.
    cooldown_s
        Maximum time [s] that a run continues after the horizon, with further arrivals from the same process,
        until all requests that arrived before the horizon have ended. Requests still in flight at its end are
        censored.
    memory_policy
        Treatment of a request without memory for its KV cache: queue or reject.
    queue_limit
        Maximum number of requests waiting for memory on one device; further ones fail. None: no limit.
    patience_s
        Maximum waiting time for memory, after which a request fails [s]; None: no limit.
    prompt_bytes_per_token, answer_bytes_per_token
        Size of a transmitted token id.
    exits
        Measured answers of each token at each exit, with exits after blocks of this world's model; None if
        not measured.
    tuning_exits
        Such answers on other text, for tuning thresholds before time zero; None: none.
    quality
        Measured answers under impairments; None if not measured.
    paths
        Measured answers of tokens with caches filled by propagated states, by exit rule, with the same exits
        as `exits`; None if not measured.
    faults
        Outages of devices and links; None: no outages.
    retry
        Retry policy of requests whose work was lost; None: they fail.
    roaming
        Serving cell over time of terminals that change cells, by device id.
    media
        Cells of the radio links, by name.
    bands
        Bands reserved for sums over groups of terminals, by their station's id.
    """

    model: Architecture
    devices: Mapping[str, Device]
    links: tuple[Link, ...]
    workload: Demand
    seed: int
    replication: int = 0
    horizon_s: float | None = None
    cooldown_s: float = 0.0
    memory_policy: Literal["queue", "reject"] = "queue"
    queue_limit: int | None = None
    patience_s: float | None = None
    prompt_bytes_per_token: int = 4
    answer_bytes_per_token: int = 4
    exits: ExitRecords | None = None
    tuning_exits: ExitRecords | None = None
    quality: QualityTable | None = None
    paths: PropagatedPaths | None = None
    faults: Faults | None = None
    retry: Retry | None = None
    roaming: Mapping[str, Roaming] = field(default_factory=dict)
    media: Mapping[str, Medium] = field(default_factory=dict)
    bands: Mapping[str, CollectiveBand] = field(default_factory=dict)

    def band(self, group: Iterable[str]) -> CollectiveBand | None:
        """Return the first band reserved for the whole group; None if there is none."""
        return band_of(self.bands.values(), group)

    @property
    def limit_s(self) -> float | None:
        """Latest end of the run [s]; None without a horizon."""
        return None if self.horizon_s is None else self.horizon_s + self.cooldown_s

    @property
    def can_lose(self) -> bool:
        """Whether work or messages can be lost during the run."""
        has_battery = any(device.battery is not None for device in self.devices.values())
        return self.faults is not None or has_battery or bool(self.roaming) or bool(self.media)

    def requests(self) -> Iterator[Request]:
        """Yield the replication's requests in order of arrival; each call draws the same ones.

        A closed workload yields none; see :meth:`conversations`.
        """
        return self.workload.requests(Streams(self.seed, self.replication))

    def conversations(self) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload in order of their starts; none if it is open."""
        return self.workload.conversations(Streams(self.seed, self.replication))
