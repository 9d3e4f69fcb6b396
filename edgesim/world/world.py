"""The world of one replication, as values: what every strategy meets in exactly the same way."""

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
        End of the window in which arrivals count. None: the run ends when every request has ended.
    cooldown_s
        How much longer than to the horizon a run may go on, with the same arrivals, to see the end of the
        requests that arrived before it. It ends as soon as it has; those still in flight at its limit are
        censored.
    memory_policy
        What a request meets that finds no room for its KV cache: a queue, or refusal.
    queue_limit
        Requests that may wait for room on one device; one more fails. None: any number.
    patience_s
        How long a request waits for room before it fails; None: for ever.
    prompt_bytes_per_token, answer_bytes_per_token
        Size of a token id on the wire.
    exits
        Measured answers, token by token and exit by exit, with exits after blocks of this world's model; None
        where nothing was measured.
    tuning_exits
        Such answers on other text, for strategies to tune thresholds on before time zero; None: none.
    quality
        Measured answers under impairments; None where nothing was measured.
    paths
        Measured answers of tokens whose caches are filled by propagated states, rule by rule, with exits
        where `exits` has them; None where nothing was measured.
    faults
        When devices and links are down; None: never.
    retry
        What happens to requests whose work was lost; None: they fail.
    roaming
        Terminals that change cells, by device id: the cell that serves each, over time.
    media
        Cells of the radio links, by name.
    bands
        Bands set aside for sums over groups of terminals, by their station's id.
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
        """The first band that is set aside for all of a group; None if there is none."""
        return band_of(self.bands.values(), group)

    @property
    def limit_s(self) -> float | None:
        """Instant at which the run ends at the latest; None without a horizon."""
        return None if self.horizon_s is None else self.horizon_s + self.cooldown_s

    @property
    def can_lose(self) -> bool:
        """Whether work or messages may be lost on the way."""
        has_battery = any(device.battery is not None for device in self.devices.values())
        return self.faults is not None or has_battery or bool(self.roaming) or bool(self.media)

    def requests(self) -> Iterator[Request]:
        """Yield the replication's requests in order of arrival; each call draws the same ones.

        Of a closed workload there are none: what it asks is in :meth:`conversations`.
        """
        return self.workload.requests(Streams(self.seed, self.replication))

    def conversations(self) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload in order of their starts; none of an open one."""
        return self.workload.conversations(Streams(self.seed, self.replication))
