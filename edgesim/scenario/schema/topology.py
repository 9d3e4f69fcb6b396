"""What a scenario's ``topology`` may contain."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import (
    Bytes,
    BytesPerSecond,
    Metres,
    Names,
    PositiveBytes,
    PositiveMetres,
    Quantity,
    Seconds,
    Watts,
    is_not_given,
    refuse,
)
from edgesim.scenario.schema.by_way import ByWay, EachWay, FileName, refuse_ways_outside, ways
from edgesim.scenario.schema.collective import CollectiveEntry
from edgesim.scenario.schema.faults import BatteryEntry
from edgesim.scenario.schema.lateness import LatenessEntry
from edgesim.scenario.schema.mobility import MobilityChoice
from edgesim.scenario.schema.radio import (
    CsiEntry,
    FadingEntry,
    HandoverEntry,
    InterferenceEntry,
    PropagationEntry,
    RadioEntry,
)
from edgesim.scenario.schema.runtimes import RuntimeChoice
from edgesim.scenario.schema.service import ServiceChoice
from edgesim.scenario.schema.serving import ServingChoice
from edgesim.scenario.schema.steps import ChangingRate, RateWays, SpeedEntry
from edgesim.scenario.schema.tcp import TcpEntry
from edgesim.scenario.text.section import Section
from edgesim.steps import Steps
from edgesim.units import DATA_RATE, TIME, UnitError, parse

__all__ = [
    "NAME",
    "Connect",
    "Count",
    "DeviceEntry",
    "EndpointOverrides",
    "Generate",
    "GraphFile",
    "LinkEntry",
    "Name",
    "Parallel",
    "PathEntry",
    "Place",
    "PowerOverrides",
    "RecordedEntry",
    "SwitchEntry",
    "Topology",
    "Wired",
]

NAME = "^[A-Za-z][A-Za-z0-9_-]*$"


def _named(text: str) -> str:
    if not re.fullmatch(NAME, text):
        refuse(f"expected a name of letters, digits, '-' and '_' that starts with a letter, got {text!r}")
    return text


Name = Annotated[str, AfterValidator(_named), Field(json_schema_extra={"pattern": NAME})]
MOST_DEVICES = 30_000
"""Most devices of one entry: a run of them is prepared within minutes."""
Count = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
Parallel = Literal["refuse", "first", "sum", "fastest"]
Connect = Literal["all", "nearest", "round-robin", "one-to-one", "ring"]


class Place(Section):
    """Where devices stand in the plane: one point, or a grid that is filled row by row."""

    at_m: tuple[Metres, Metres] | None = Field(default=None, alias="at")
    """Coordinates of a single device, such as [20 m, 5 m]."""
    grid_m: PositiveMetres | None = Field(default=None, alias="grid")
    """Distance between neighbours in a grid."""
    columns: Count | None = None
    """Devices per row of the grid; by default the grid is as square as it can be."""
    corner_m: tuple[Metres, Metres] = Field(default=(0.0, 0.0), alias="corner")
    """Where the grid's first device stands."""

    @model_validator(mode="after")
    def _point_or_grid(self) -> Place:
        if (self.at_m is None) == (self.grid_m is None):
            refuse("expected either 'at: [x, y]' or 'grid: 60 m'")
        if self.at_m is not None and (self.columns is not None or self.corner_m != (0.0, 0.0)):
            refuse("'columns' and 'corner' belong to a grid, not to 'at'")
        return self


class PowerOverrides(Section):
    """Power figures that differ from the kind's."""

    idle_w: Watts | None = Field(default=None, alias="idle")
    """The whole device, switched on and waiting."""
    active_w: Watts | None = Field(default=None, alias="active")
    """What computing adds."""
    tx_w: Watts | None = Field(default=None, alias="tx")
    """What sending adds."""
    rx_w: Watts | None = Field(default=None, alias="rx")
    """What receiving adds."""
    radio_idle_w: Watts | None = Field(default=None, alias="radio_idle")
    """What a radio adds that is ready; nothing by default, where `idle` is taken to have it in."""


class EndpointOverrides(Section):
    """Costs of messages that differ from the kind's."""

    overhead_s: Seconds | None = Field(default=None, alias="overhead")
    """Fixed cost of one message, which occupies this end."""
    latency_s: Seconds | None = Field(default=None, alias="latency", exclude_if=is_not_given)
    """What only delays a message besides."""
    staging_bytes_per_s: BytesPerSecond | None = Field(default=None, alias="staging")
    """Rate of copying a message between network and accelerator memory."""
    on_compute: bool | None = None
    """Whether messages occupy the processor that computes."""
    tcp: TcpEntry | None = Field(default=None, exclude_if=is_not_given)
    """Small segments and acknowledgements that wait; none do if not given."""


class DeviceEntry(Section):
    """One device, or a group of alike ones.

    With ``count`` the devices are called ``id-0``, ``id-1``, ...; without it there is one, called ``id``.
    """

    id: Name
    """Name of the device, or of the group."""
    kind: str
    """A kind of the catalogue (`edgesim list devices`) or of this scenario's `kinds`."""
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DEVICES)] | None = None
    """How many there are."""
    place: Place | None = None
    """Where they stand; needed by links that connect the nearest."""
    memory_bytes: PositiveBytes | None = Field(default=None, alias="memory")
    """Memory, where it differs from the kind's."""
    process_bytes: Bytes | None = Field(default=None, alias="process_memory")
    """Memory taken before any weight is loaded, where it differs from the kind's."""
    start_up_s: Seconds | None = Field(default=None, alias="start_up", exclude_if=is_not_given)
    """What its first pass takes besides, where it differs from the kind's."""
    power: PowerOverrides | None = None
    """Power, where it differs from the kind's."""
    endpoint: EndpointOverrides | None = None
    """Cost of messages, where it differs from the kind's."""
    profile: Names = ()
    """Profiles measured on this very device, where they are other than its kind's."""
    runtime: RuntimeChoice | None = Field(default=None, exclude_if=is_not_given)
    """The engine that runs on it (`edgesim list runtimes`), where that is not its kind's; its shares of the
    kind's `peaks` are charged then, and no profile."""
    power_mode: str | None = Field(default=None, exclude_if=is_not_given)
    """The one of its kind's `power_modes` that it runs in."""
    serving: ServingChoice | None = None
    """How it serves several requests at once; first come, first served if not given."""
    service: ServiceChoice | None = None
    """How the times of its passes vary about their means, where it differs from the kind's."""
    lateness: LatenessEntry | None = Field(default=None, exclude_if=is_not_given)
    """How much later than its computing takes it is ready for a sum over a group, where it differs from the
    kind's."""
    speed: SpeedEntry | None = None
    """How fast it computes relative to its profile, where that is not 1, or changes."""
    mobility: MobilityChoice | None = None
    """How it moves; it stays in its place if not given."""
    battery: BatteryEntry | None = None
    """What it runs on; the mains if not given."""
    forwards: bool | None = Field(default=None, exclude_if=is_not_given)
    """Whether it passes on messages between others, as a router does. If not given, a station of radio links
    does, and no other device."""

    @model_validator(mode="after")
    def _stands_or_moves(self) -> DeviceEntry:
        if self.place is not None and self.mobility is not None:
            refuse("'place' and 'mobility' exclude each other: where it moves, the model of its way says")
        return self


class SwitchEntry(Section):
    """A node that forwards and never computes: a switch, a router, a base station's backhaul port."""

    id: Name
    """Name of the switch."""
    place: Place | None = None
    """Where it stands."""


Rates = Annotated[float | Steps | ByWay[float | Steps], RateWays(ChangingRate())]
Latencies = Annotated[float | ByWay[float], EachWay(Quantity(TIME, "zero or more"))]
Files = Annotated[str | ByWay[str], EachWay(FileName())]


class Wired(Section):
    """A cable, or whatever behaves like one: a rate each way, constant or on a schedule, and a fixed delay.

    Where the two ways differ, a value is given for each: ``{rate: {up: 5 Mbit/s, down: 50 Mbit/s}, latency:
    5 ms}``. Up is from the first end in `between` to the second, as on radio links from the terminal to the
    station; of an edge from its source to its target.
    """

    rate_bps: Rates = Field(alias="rate")
    """Rate each way. One for both, or {up: 5 Mbit/s, down: 50 Mbit/s}; one that changes at stated instants as
    {schedule: [{from: 0 s, rate: 20 Mbit/s}, {from: 60 s, rate: 5 Mbit/s}]}."""
    latency_s: Latencies = Field(default=0.0, alias="latency")
    """Propagation delay one way, after the last bit has left. One for both, or {up: 9 ms, down: 5 ms}."""

    @model_validator(mode="before")
    @classmethod
    def _ways_in_values(cls, data: object) -> object:
        refuse_ways_outside(data, "rate: {up: 5 Mbit/s, down: 50 Mbit/s}")
        return data

    def constant_bps(self) -> ByWay[float] | None:
        """The rates of the two ways; None if one changes."""
        up, down = self.rates_bps()
        return None if isinstance(up, Steps) or isinstance(down, Steps) else ByWay(up, down)

    def rates_bps(self) -> ByWay[float | Steps]:
        """The rates of the two ways."""
        return ways(self.rate_bps)


class RecordedEntry(Section):
    """A link whose rate was recorded: a packet-delivery trace of Mahimahi, or CSV with columns t, rate_mbps.

    The contents tell the format. A column of rates has its unit in its name (`rate_bps`, `rate_kbps`,
    `rate_mbps`, `rate_gbps`), or is called `rate` and has it in `unit`. Where the two ways differ, a file has
    two of them, `up_mbps` and `down_mbps`, or there are two files: ``{file: {up: lte.up, down: lte.down}}``.
    """

    file: Files
    """Path, from the folder of the scenario. One for both ways, or {up: lte.up, down: lte.down}."""
    unit: str | None = None
    """Unit of a CSV file's rates where its columns do not name it, such as Mbit/s."""
    latency_s: Latencies = Field(default=0.0, alias="latency")
    """Propagation delay one way. One for both, or {up: 9 ms, down: 5 ms}."""

    @model_validator(mode="before")
    @classmethod
    def _ways_in_values(cls, data: object) -> object:
        refuse_ways_outside(data, "file: {up: lte.up, down: lte.down}")
        return data

    @model_validator(mode="after")
    def _unit_of_a_rate(self) -> RecordedEntry:
        if self.unit is not None:
            try:
                parse(f"1 {self.unit}", DATA_RATE)
            except UnitError:
                refuse(f"expected the unit of a data rate in 'unit', such as Mbit/s, got {self.unit!r}")
        return self


class LinkEntry(Section):
    """Links between two groups, or within one.

    Exactly one of `wired`, `radio` and `recorded` says what they are made of. Of radio links, the first group
    in `between` are the terminals, the second the stations: each station is a cell, whose terminals share
    the band. Up is from the first group to the second, down is back; within one group, up is from the
    earlier device to the later, and round a ring from each to the next.

    `connect` says which pairs of devices get a link:

    * ``all``: every device of the first with every device of the second; within one group, every pair.
    * ``nearest``: each device of the first with the device of the second that stands nearest to it.
    * ``round-robin``: each device of the first with one of the second, which are dealt out in turn.
    * ``one-to-one``: the first with the first, the second with the second; the groups are equally large.
    * ``ring``: within one group, each with the next and the last with the first.
    """

    between: tuple[str, str]
    """Two groups, devices or switches; the same group twice for links within it."""
    wired: Wired | None = None
    """Cables, or what behaves like them."""
    radio: RadioEntry | None = None
    """Radio links, by the name of a radio (`edgesim list radios`) or with figures of their own."""
    recorded: RecordedEntry | None = None
    """Links whose rate was recorded."""
    connect: Connect = "all"
    """Which pairs get a link. A terminal with radio links to several stations is served by the strongest."""
    propagation: PropagationEntry | None = None
    """Of radio links: how signals fade with distance; the radio's own model if not given."""
    fading: FadingEntry | None = None
    """Of radio links: small-scale fading; Rician in line of sight and Rayleigh without it if not given."""
    csi: CsiEntry | None = None
    """Of radio links: what the transmitter knows of the fading; all of it if not given."""
    handover: HandoverEntry | None = None
    """Of radio links to several stations: when terminals change cells; never if not given."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of radio links under `access: weighted`: part of the band, relative to other entries' terminals."""
    interference: bool | InterferenceEntry = False
    """Of radio links: whether the stations of this entry share one channel, so that cells that are active
    disturb one another."""
    over_the_air: CollectiveEntry | None = None
    """Of radio links: a band set aside for sums over groups of terminals, as tensor parallelism needs them;
    none if not given."""

    @model_validator(mode="after")
    def _made_of_one_thing(self) -> LinkEntry:
        made_of = [name for name in ("wired", "radio", "recorded") if getattr(self, name) is not None]
        if len(made_of) != 1:
            refuse(
                "expected exactly one of wired, radio, recorded, such as 'wired: {rate: 1 Gbit/s}', got "
                + (" and ".join(made_of) or "none of them")
            )
        radio_only = ("propagation", "fading", "csi", "handover", "over_the_air")
        beside = [name for name in radio_only if getattr(self, name) is not None]
        beside += ["interference"] * bool(self.interference) + ["weight"] * (self.weight != 1.0)
        if self.over_the_air is not None and (self.csi is not None or self.interference):
            refuse(
                "'over_the_air' has a band to itself and its own 'csi_error'; leave out 'csi' and "
                "'interference', or use another link"
            )
        if self.radio is None and beside:
            refuse(f"'{beside[0]}' belongs to radio links; this one is {made_of[0]}")
        return self


class PathEntry(Wired):
    """A path of its own between every two devices of two groups, as traffic shaping (Linux `tc`) makes it.

    All that the two send each other, and nothing else, takes it: it replaces what routing over the links
    would give, in both directions, and has a queue of its own each way. Up is from the first group in
    `between` to the second. Of several entries for a pair the last counts, so that a general one may stand
    first: ``[{between: [all, all], rate: 50 Mbit/s}, {between: [board, cloud], rate: 1 Mbit/s}]``.

    Not modelled: that the cables below are shared with other paths; they are taken to be wider.
    """

    between: tuple[str, str]
    """Two devices, groups or device kinds; `all` stands for every device."""


class Generate(Section):
    """Devices and links by one of networkx's graph generators.

    The generator's own parameters stand beside these keys: ``{graph: watts_strogatz_graph, n: 12, k: 4,
    p: 0.1, id: node, kinds: [raspberry-pi-5], wired: {rate: 100 Mbit/s}}``. A generator that takes a
    seed gets the scenario's, unless one is given. Nodes are called ``id-0``, ``id-1``, ... in the order of
    the generator.
    """

    model_config = ConfigDict(extra="allow")

    graph: str
    """Name of a generator of undirected graphs, such as grid_2d_graph."""
    id: Name
    """Name of the group that the nodes form."""
    kinds: Names = ()
    """Device kinds, dealt out to the nodes in turn; without any the nodes are switches."""
    wired: Wired
    """What every edge is made of."""
    forwards: bool = Field(default=True, exclude_if=bool)
    """Whether the devices pass on messages between others, as the nodes of a mesh do."""

    @property
    def options(self) -> dict[str, Any]:
        """The generator's own parameters."""
        return dict(self.__pydantic_extra__ or {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Let an editor accept the generator's parameters."""
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["additionalProperties"] = True
        return schema


class GraphFile(Section):
    """Devices and links from a file as networkx writes it: GraphML, GML or node-link JSON.

    A path alone is short for ``{path: ...}``. The contents tell the format. What nodes and edges do not say
    themselves is taken from the keys beside `path`; what neither says is an error. In a directed graph the
    edges from a to b and from b to a are the two ways of one link; one without the other is an error. An edge
    that an undirected graph has in both directions, with the same rate and latency, is one edge.
    """

    path: str
    """Path of the file, from the folder of the scenario."""
    id: Name = "node"
    """Group of the nodes that name none; nodes whose names are numbers are called id-0, id-1, ..."""
    kind: str | None = None
    """Device kind of the nodes that name none; `switch` for one that only forwards."""
    wired: Wired | None = None
    """What edges are made of that do not say it; up is from an edge's source to its target."""
    forwards: bool = Field(default=True, exclude_if=bool)
    """Whether the devices pass on messages between others, as the nodes of a mesh do."""
    parallel: Parallel = "refuse"
    """What several edges between two nodes become, each way for itself: refused, the `first` of the file, the
    `fastest` of them, or one with the `sum` of their rates and the longest of their latencies."""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, data: object) -> object:
        return {"path": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _constant_rates(self) -> GraphFile:
        if self.wired is not None and self.wired.constant_bps() is None:
            refuse(
                "a rate on a schedule belongs to an entry of 'links'; those of a file's edges are constant"
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow a path alone, too."""
        return {"anyOf": [{"type": "string", "examples": ["network.graphml"]}, handler(core_schema)]}


class Topology(Section):
    """Devices, switches and the links between them."""

    devices: tuple[DeviceEntry, ...] = ()
    """Devices and groups of devices."""
    switches: tuple[SwitchEntry, ...] = ()
    """Nodes that only forward."""
    links: tuple[LinkEntry, ...] = ()
    """Links, full duplex; a pair of devices has one, whose two ways may differ (`up`, `down`)."""
    paths: tuple[PathEntry, ...] = Field(default=(), exclude_if=is_not_given)
    """Pairs of devices that have a path of their own, whatever the links are."""
    generate: Generate | None = None
    """A generated part of the topology."""
    file: GraphFile | None = None
    """A part of the topology that a file describes."""
