"""Schema of a scenario's ``topology``."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

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
from edgesim.scenario.schema.by_way import ByDirection, EachDirection, FileName, refuse_ways_outside, ways
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
from edgesim.scenario.text.shorthand import Shorthand, value_of
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
"""Most devices of one entry; a run with that many is prepared within minutes."""
Count = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
Parallel = Literal["refuse", "first", "sum", "fastest"]
Connect = Literal["all", "nearest", "round-robin", "one-to-one", "ring"]


class Place(Section):
    """Positions of devices in the plane: one point, or a grid that is filled row by row."""

    at_m: tuple[Metres, Metres] | None = Field(default=None, alias="at")
    """Coordinates of a single device, such as [20 m, 5 m]."""
    grid_m: PositiveMetres | None = Field(default=None, alias="grid")
    """Distance between neighbours in a grid."""
    columns: Count | None = None
    """Devices per row of the grid; by default the grid is as square as possible."""
    corner_m: tuple[Metres, Metres] = Field(default=(0.0, 0.0), alias="corner")
    """Position of the grid's first device."""

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
    """Power of the whole device, switched on and idle."""
    active_w: Watts | None = Field(default=None, alias="active")
    """Additional power while computing."""
    tx_w: Watts | None = Field(default=None, alias="tx")
    """Additional power while sending."""
    rx_w: Watts | None = Field(default=None, alias="rx")
    """Additional power while receiving."""
    radio_idle_w: Watts | None = Field(default=None, alias="radio_idle")
    """Additional power of a radio that is ready; by default 0, as `idle` is assumed to include it."""


class EndpointOverrides(Section):
    """Message costs at a device's own end that differ from the kind's."""

    overhead_s: Seconds | None = Field(default=None, alias="overhead")
    """Fixed cost of one message, which occupies this end."""
    latency_s: Seconds | None = Field(default=None, alias="latency", exclude_if=is_not_given)
    """Additional delay of a message that occupies nothing."""
    staging_bytes_per_s: BytesPerSecond | None = Field(default=None, alias="staging")
    """Rate of copying a message between network and accelerator memory."""
    on_compute: bool | None = None
    """Whether messages occupy the processor that computes."""
    tcp: TcpEntry | None = Field(default=None, exclude_if=is_not_given)
    """TCP delays: small segments and delayed acknowledgements; by default the kind's."""


class DeviceEntry(Section):
    """One device, or a group of identical devices.

    With ``count`` the devices are called ``id-0``, ``id-1``, ...; without it there is one, called ``id``.
    """

    id: Name
    """Name of the device, or of the group."""
    kind: str
    """A kind of the catalogue (`edgesim list devices`) or of this scenario's `kinds`."""
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DEVICES)] | None = None
    """Number of devices in the group."""
    place: Place | None = None
    """Positions; needed by links with `connect: nearest`."""
    memory_bytes: PositiveBytes | None = Field(default=None, alias="memory")
    """Memory, if it differs from the kind's."""
    process_bytes: Bytes | None = Field(default=None, alias="process_memory")
    """Memory occupied before any weight is loaded, if it differs from the kind's."""
    start_up_s: Seconds | None = Field(default=None, alias="start_up", exclude_if=is_not_given)
    """Additional time of the first pass, if it differs from the kind's."""
    power: PowerOverrides | None = None
    """Power figures that differ from the kind's."""
    endpoint: EndpointOverrides | None = None
    """Message costs that differ from the kind's."""
    profile: Names = ()
    """Profiles measured on this device, if they differ from its kind's."""
    runtime: RuntimeChoice | None = Field(default=None, exclude_if=is_not_given)
    """Inference engine of the device (`edgesim list runtimes`), if it differs from its kind's. Times are then
    computed from the engine's shares of the kind's `peaks`, not from a profile."""
    power_mode: str | None = Field(default=None, exclude_if=is_not_given)
    """Active power mode, one of its kind's `power_modes`."""
    serving: ServingChoice | None = None
    """Serving discipline; by default first come, first served."""
    service: ServiceChoice | None = None
    """Law of the service times of its passes, if it differs from the kind's."""
    lateness: LatenessEntry | None = Field(default=None, exclude_if=is_not_given)
    """Lateness at a sum over a group, if it differs from the kind's."""
    speed: SpeedEntry | None = None
    """Speed relative to its profile, constant or on a schedule; 1 by default."""
    mobility: MobilityChoice | None = None
    """Mobility model; by default the device does not move."""
    battery: BatteryEntry | None = None
    """Battery; by default the device has mains power."""
    forwards: bool | None = Field(default=None, exclude_if=is_not_given)
    """Whether the device forwards messages between others, as a router does. By default only stations of
    radio links do."""

    @model_validator(mode="after")
    def _stands_or_moves(self) -> DeviceEntry:
        if self.place is not None and self.mobility is not None:
            refuse("'place' and 'mobility' exclude each other: the mobility model gives the positions")
        return self


class SwitchEntry(Section):
    """A node that only forwards messages: a switch, a router, a base station's backhaul port."""

    id: Name
    """Name of the switch."""
    place: Place | None = None
    """Position of the switch."""


Rates = Annotated[float | Steps | ByDirection[float | Steps], RateWays(ChangingRate())]
Latencies = Annotated[float | ByDirection[float], EachDirection(Quantity(TIME, "zero or more"))]
Files = Annotated[str | ByDirection[str], EachDirection(FileName())]


class Wired(Section):
    """A cable or equivalent link: a rate per direction, constant or on a schedule, and a fixed delay.

    If the directions differ, a value is given for each: ``{rate: {up: 5 Mbit/s, down: 50 Mbit/s}, latency: 5
    ms}``. Up is from the first end in `between` to the second, as on radio links from the terminal to the
    station; on an edge of a graph, from its source to its target.
    """

    rate_bps: Rates = Field(alias="rate")
    """Rate per direction. One for both, or {up: 5 Mbit/s, down: 50 Mbit/s}; a rate that changes at given
    instants is written {schedule: [{from: 0 s, rate: 20 Mbit/s}, {from: 60 s, rate: 5 Mbit/s}]}."""
    latency_s: Latencies = Field(default=0.0, alias="latency")
    """One-way propagation delay, after the last bit has been sent. One for both, or {up: 9 ms, down: 5
    ms}."""

    @model_validator(mode="before")
    @classmethod
    def _ways_in_values(cls, data: object) -> object:
        refuse_ways_outside(data, "rate: {up: 5 Mbit/s, down: 50 Mbit/s}")
        return data

    def constant_bps(self) -> ByDirection[float] | None:
        """Return the rates of the two directions [bit/s]; None if one changes over time."""
        up, down = self.rates_bps()
        return None if isinstance(up, Steps) or isinstance(down, Steps) else ByDirection(up, down)

    def rates_bps(self) -> ByDirection[float | Steps]:
        """Return the rates of the two directions [bit/s]."""
        return ways(self.rate_bps)


class RecordedEntry(Section):
    """A link with a recorded rate: a packet-delivery trace of Mahimahi, or CSV with columns t, rate_mbps.

    The format is detected from the contents. A column of rates has its unit in its name (`rate_bps`,
    `rate_kbps`, `rate_mbps`, `rate_gbps`), or is called `rate` and has its unit in `unit`. If the directions
    differ, a file has two columns, `up_mbps` and `down_mbps`, or there are two files: ``{file: {up: lte.up,
    down: lte.down}}``.
    """

    file: Files
    """Path, relative to the scenario's folder. One for both directions, or {up: lte.up, down: lte.down}."""
    unit: str | None = None
    """Unit of a CSV file's rates if its columns do not name it, such as Mbit/s."""
    latency_s: Latencies = Field(default=0.0, alias="latency")
    """One-way propagation delay. One for both, or {up: 9 ms, down: 5 ms}."""

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

    Exactly one of `wired`, `radio` and `recorded` gives the medium. On radio links, the first group in
    `between` are the terminals, the second the stations: each station is a cell, whose terminals share the
    band. Up is from the first group to the second, down is back; within one group, up is from the earlier
    device to the later, and in a ring from each device to the next.

    `connect` selects the pairs of devices that get a link:

    * ``all``: every device of the first group with every device of the second; within one group, every pair.
    * ``nearest``: each device of the first group with the nearest device of the second.
    * ``round-robin``: each device of the first group with one of the second, assigned in turn.
    * ``one-to-one``: the k-th device of the first group with the k-th of the second, of equally large groups.
    * ``ring``: within one group, each device with the next and the last with the first.
    """

    between: tuple[str, str]
    """Two groups, devices or switches; the same group twice for links within it."""
    wired: Wired | None = None
    """Cables, or equivalent links."""
    radio: RadioEntry | None = None
    """Radio links, by the name of a radio (`edgesim list radios`), with or without overrides."""
    recorded: RecordedEntry | None = None
    """Links with recorded rates."""
    connect: Connect = "all"
    """Pairs of devices that get a link. A terminal with radio links to several stations is served by the
    strongest."""
    propagation: PropagationEntry | None = None
    """Radio links only: propagation model; by default the radio's."""
    fading: FadingEntry | None = None
    """Radio links only: small-scale fading; by default Rician in line of sight and Rayleigh otherwise."""
    csi: CsiEntry | None = None
    """Radio links only: channel state information at the transmitter; perfect by default."""
    handover: HandoverEntry | None = None
    """Radio links to several stations only: handover rule of the terminals; no handover by default."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Radio links with `access: weighted` only: share of the band, relative to other entries' terminals."""
    interference: bool | InterferenceEntry = False
    """Radio links only: whether the stations of this entry share one channel, so that active cells interfere
    with one another."""
    over_the_air: CollectiveEntry | None = None
    """Radio links only: a band reserved for sums over groups of terminals, as in tensor parallelism; none by
    default."""

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
                "'over_the_air' has a band of its own and its own 'csi_error'; leave out 'csi' and "
                "'interference', or use another link"
            )
        if self.radio is None and beside:
            refuse(f"'{beside[0]}' applies to radio links, and this link is {made_of[0]}; leave it out")
        return self


class PathEntry(Wired):
    """A separate path between every two devices of two groups, as made by traffic shaping (Linux `tc`).

    All messages between the two devices, and no others, take the path: it replaces the route over the links
    in both directions, and has its own queue per direction. Up is from the first group in `between` to the
    second. If several entries match a pair, the last applies, so that a general one can come first:
    ``[{between: [all, all], rate: 50 Mbit/s}, {between: [board, cloud], rate: 1 Mbit/s}]``.

    Not modelled: sharing of the underlying cables with other paths; the cables are assumed to be wider.
    """

    between: tuple[str, str]
    """Two devices, groups or device kinds; `all` selects every device."""


class Generate(Section):
    """Devices and links generated by one of networkx's graph generators.

    The generator's own parameters are written beside these keys: ``{graph: watts_strogatz_graph, n: 12, k: 4,
    p: 0.1, id: node, kinds: [raspberry-pi-5], wired: {rate: 100 Mbit/s}}``. A generator with a parameter
    `seed` gets the scenario's seed, unless one is given. Nodes are called ``id-0``, ``id-1``, ... in the
    order of the generator.
    """

    model_config = ConfigDict(extra="allow")

    graph: str
    """Name of a networkx generator of undirected graphs, such as grid_2d_graph."""
    id: Name
    """Name of the group of the generated nodes."""
    kinds: Names = ()
    """Device kinds, assigned to the nodes in turn; without any, the nodes are switches."""
    wired: Wired
    """Wired link of every edge."""
    forwards: bool = Field(default=True, exclude_if=bool)
    """Whether the devices forward messages between others, as the nodes of a mesh do."""

    @property
    def options(self) -> dict[str, Any]:
        """The generator's own parameters."""
        return dict(self.__pydantic_extra__ or {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a schema that also accepts the generator's parameters."""
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["additionalProperties"] = True
        return schema


class GraphFile(Section):
    """Devices and links from a graph file in networkx's formats: GraphML, GML or node-link JSON.

    A path alone is short for ``{path: ...}``. The format is detected from the contents. Attributes missing
    from nodes and edges are taken from the keys beside `path`; if neither gives them, that is an error. In a
    directed graph the edges from a to b and from b to a are the two directions of one link; one without the
    other is an error. An edge listed in both directions in an undirected graph, with the same rate and
    latency, is one edge.
    """

    shorthand: ClassVar[Shorthand | None] = value_of(
        "path", str, schema={"type": "string", "examples": ["network.graphml"]}
    )

    path: str
    """Path of the file, relative to the scenario's folder."""
    id: Name = "node"
    """Group of the nodes without a group attribute; nodes whose names are numbers are called id-0, id-1,
    ..."""
    kind: str | None = None
    """Device kind of the nodes without a kind attribute; `switch` for a node that only forwards."""
    wired: Wired | None = None
    """Wired link of the edges without their own attributes; up is from an edge's source to its target."""
    forwards: bool = Field(default=True, exclude_if=bool)
    """Whether the devices forward messages between others, as the nodes of a mesh do."""
    parallel: Parallel = "refuse"
    """Handling of parallel edges between two nodes, per direction: `refuse` them, use the `first` of the
    file, the `fastest`, or one with the `sum` of their rates and the longest of their latencies."""

    @model_validator(mode="after")
    def _constant_rates(self) -> GraphFile:
        if self.wired is not None and self.wired.constant_bps() is None:
            refuse(
                "rates of a graph file's edges must be constant; give the link with its schedule as an "
                "entry of 'links'"
            )
        return self


class Topology(Section):
    """Devices, switches and the links between them."""

    devices: tuple[DeviceEntry, ...] = ()
    """Devices and groups of devices."""
    switches: tuple[SwitchEntry, ...] = ()
    """Nodes that only forward."""
    links: tuple[LinkEntry, ...] = ()
    """Full-duplex links, at most one per pair of devices; the two directions may differ (`up`, `down`)."""
    paths: tuple[PathEntry, ...] = Field(default=(), exclude_if=is_not_given)
    """Pairs of devices with a separate path that replaces the route over the links."""
    generate: Generate | None = None
    """A generated part of the topology."""
    file: GraphFile | None = None
    """A part of the topology, read from a graph file."""
