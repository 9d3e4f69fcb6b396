"""Assembly: build all parts of one run from a world and a placement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from edgesim.engine.answers.by_request import RequestAnswers
from edgesim.engine.causality.needs import Causality
from edgesim.engine.collective.groups import Groups
from edgesim.engine.decisions import Decisions
from edgesim.engine.device.booking import Booking
from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.service_draws import draws_of
from edgesim.engine.dispatch import Sharing
from edgesim.engine.energy.accounts import Accounts
from edgesim.engine.energy.discharge import Discharge
from edgesim.engine.failure.downtime import Downtime
from edgesim.engine.ledger import Ledger
from edgesim.engine.life_cycle import LifeCycle
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.messages import Messenger
from edgesim.engine.network.delivery import TokenDelivery
from edgesim.engine.network.transport import Transport
from edgesim.engine.observation.counting import Counting
from edgesim.engine.observation.current_state import Looking
from edgesim.engine.observation.reports import Reports
from edgesim.engine.own_streams import OwnStreams
from edgesim.engine.passes import Passes
from edgesim.engine.process.clock import Clock
from edgesim.engine.progress import Progress
from edgesim.engine.recording import Recording
from edgesim.model.architecture import Slice
from edgesim.model.sharding import TensorShard
from edgesim.trace.buffer import SpanBuffer
from edgesim.trace.counter_buffer import CounterBuffer
from edgesim.world.holdings import Holdings
from edgesim.world.stages import check_stages
from edgesim.world.world import World

__all__ = ["Assembly"]


class Assembly:
    """The parts of one run, each with its own state.

    Parameters
    ----------
    world, clock, holdings, spans, shards
        As for :class:`edgesim.engine.cluster.Cluster`.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        holdings: Mapping[str, tuple[Slice, ...]],
        spans: SpanBuffer | None,
        shards: Mapping[str, TensorShard] | None,
    ) -> None:
        check_stages(world.model, world.devices, holdings)
        model, devices = world.model, world.devices
        self.answers = RequestAnswers(world)
        self.own_streams = OwnStreams(world.seed, world.replication)
        self.decisions = Decisions(clock)
        self.recording = recording = Recording(spans)
        self.hosts = hosts = {device.id: Host(device) for device in devices.values()}
        self.delivery = TokenDelivery(clock, devices, recording, may_repeat=world.can_lose)
        can_fail = {id_ for id_, device in devices.items() if device.battery is not None}
        if world.faults is not None:
            can_fail |= set(world.faults.devices)
        self.transport = Transport(world, clock, hosts, recording, can_fail)
        stored = Holdings(model, holdings, shards)
        pricing = Pricing(model, stored, recording)
        booking = Booking(clock, recording)
        causality = Causality(model, stored.shards, world.answer_bytes_per_token)
        self.progress = Progress(clock, causality)
        self.ledger = Ledger(self.progress, causality, model, self.delivery.home)
        self.reservations = Reservations(world, clock, hosts, stored, recording)
        self.groups = Groups(world, hosts, stored, self.transport.network, self.transport.hops, recording)
        self.sharing = Sharing(
            clock,
            model,
            hosts,
            stored,
            pricing,
            self.reservations,
            booking,
            recording,
            self.transport,
            can_fail,
            partial(draws_of, world),
        )
        preemption = self.sharing.preemption
        self.passes = Passes(
            clock,
            model,
            hosts,
            pricing,
            booking,
            recording,
            self.reservations,
            preemption,
            self.groups,
            self.answers,
            self.progress,
            self.ledger,
        )
        self.messages = Messenger(
            clock, hosts, self.transport, self.delivery, recording, self.progress, self.ledger
        )
        owners = (
            self.passes,
            preemption,
            self.sharing,
            self.reservations,
            self.delivery,
            self.answers,
            self.progress,
        )
        self.life_cycle = LifeCycle(clock, hosts, self.answers, self.progress, self.own_streams, owners)
        downtime = Downtime(
            world,
            clock,
            hosts,
            self.sharing,
            self.transport,
            self.reservations,
            self.life_cycle.in_service,
            self.progress,
        )
        self.accounts = Accounts(hosts, self.transport.hops.values(), downtime.uptime)
        discharges = {
            id_: Discharge(
                clock,
                device.battery,
                partial(self.accounts.drawn_j, clock, id_),
                self.accounts.most_w(id_),
                partial(downtime.empty, id_),
            )
            for id_, device in devices.items()
            if device.battery is not None
        }
        self.looking = Looking(world, clock, hosts, self.reservations.memories, discharges, self.transport)
        self.reports = Reports(self.looking, self.transport)

    def owners_of_spans(self) -> set[int]:
        """Ids of requests, ended or not, with spans still to be recorded."""
        return self.sharing.owners() | self.transport.owners()

    def counting(self, buffer: CounterBuffer) -> Counting:
        """Start sampling counters over time into a buffer."""
        return Counting(self.looking, self.reservations.memories, self.transport.hops, buffer)

    def close(self, at_s: float) -> None:
        """Complete the accounts at the end of the run."""
        self.sharing.close(at_s)
        self.transport.close(at_s)
