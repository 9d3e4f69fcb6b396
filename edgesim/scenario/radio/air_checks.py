"""Checks of a scenario's radio links and mobility beyond the schema."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from edgesim.errors import InputError
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.radio.adaptation import adaptation, duplex_of, medium_access, resource_grid
from edgesim.scenario.schema.radio_kinds import RadioFigures
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import LinkEntry
from edgesim.scenario.text.problems import Path, Problem
from edgesim.scenario.topology.reach import Reach
from edgesim.scenario.topology.topology import AirLink, Layout

__all__ = ["air_problems"]

METRES_PER_KM = 1000.0
SIMPLE_WALL_UP_TO_HZ = 6e9  # TR 38.901 section 7.4.3, the model for backward compatibility


def air_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    """Yield problems of invalid radios, links outside a propagation model's range, and unreadable tracks."""
    entries: dict[int, list[AirLink]] = {}
    for leg in layout.air:
        entries.setdefault(id(leg.entry), []).append(leg)
    for legs in entries.values():
        entry, path = legs[0].entry, legs[0].path
        figures = _figures(entry)
        yield from _radio_problems(entry, figures, path)
        yield from _range_problems(legs, figures, layout)
    yield from _cell_problems(layout)
    yield from _roaming_problems(layout)
    yield from _handover_path_problems(layout)
    for index, device in enumerate(scenario.topology.devices):
        if device.mobility is not None:
            ids = layout.members(device.id)
            try:
                device.mobility.tracks(
                    ids,
                    seed=scenario.seed,
                    replication=0,
                    folder=scenario.origin.folder,
                    others=layout.nodes.keys(),
                )
            except InputError as error:
                yield Problem(("topology", "devices", index, "mobility"), str(error))


def _figures(entry: LinkEntry) -> RadioFigures:
    assert entry.radio is not None
    return radio_kind(entry.radio.use).figures(entry.radio)


def _radio_problems(entry: LinkEntry, figures: RadioFigures, path: Path) -> Iterator[Problem]:
    """Yield problems of settings that contradict the radio."""
    radio, path = entry.radio, (*path, "radio")
    assert radio is not None
    contends = figures.access == "dcf"
    if contends != (figures.air == "wifi"):
        yield Problem(
            (*path, "access"),
            f"'access: {figures.access}' does not apply to {radio.use}; "
            + ("choose another" if contends else "Wi-Fi always uses contention: write 'dcf'"),
        )
    is_wifi = figures.air == "wifi"
    for name, belongs in (("tdd", figures.duplex == "tdd"), ("rts_cts", is_wifi), ("contention", is_wifi)):
        if name in radio.model_fields_set and getattr(radio, name) and not belongs:
            yield Problem((*path, name), f"'{name}' does not apply to {radio.use}; leave it out")
    if figures.access != "proportional-fair" and "fairness_window" in radio.model_fields_set:
        yield Problem(
            (*path, "fairness_window"),
            "'fairness_window' applies only with 'access: proportional-fair'; leave it out",
        )
    if figures.access != "weighted" and entry.weight != 1.0:
        yield Problem(
            (*path[:-1], "weight"), "'weight' applies only with 'access: weighted'; set that under 'radio'"
        )
    try:
        adaptation(radio, figures)
        medium_access(radio, figures)
        duplex_of(figures)
        resource_grid(radio, figures)
    except InputError as error:
        yield Problem(path, str(error))


def _range_problems(legs: list[AirLink], figures: RadioFigures, layout: Layout) -> Iterator[Problem]:
    """Yield problems of carriers, heights and distances outside the propagation model's range of validity."""
    entry, path = legs[0].entry, legs[0].path
    assert entry.radio is not None
    propagation = entry.propagation or radio_kind(entry.radio.use).propagation
    model, name = propagation.value(), propagation.model
    low_hz, high_hz = model.VALID.carriers_hz
    if not low_hz <= figures.carrier_hz <= high_hz:
        yield Problem(
            (*path, "radio", "carrier"),
            f"a carrier of {figures.carrier_hz / 1e9:g} GHz; {name} is valid from {low_hz / 1e9:g} to "
            f"{high_hz / 1e9:g} GHz; choose another model (free-space and log-distance fit any)",
        )
    low_m, high_m = model.VALID.terminal_heights_m
    if not low_m <= figures.terminal_height_m <= high_m:
        yield Problem(
            (*path, "propagation") if entry.propagation else (*path, "radio"),
            f"terminals of {entry.radio.use} are {figures.terminal_height_m:g} m high; {name} is valid from "
            f"{low_m:g} to {high_m:g} m; set another height: radio: {{use: {entry.radio.use}, "
            f"terminal: {{height: {low_m:g} m}}}}",
        )
        return
    wall = propagation.indoor
    if wall is not None and wall.wall == "simple" and figures.carrier_hz > SIMPLE_WALL_UP_TO_HZ:
        yield Problem(
            (*path, "propagation", "indoor", "wall"),
            f"'simple' is valid below 6 GHz, and this carrier is {figures.carrier_hz / 1e9:g} GHz; choose "
            "low-loss or high-loss",
        )
    nearest: dict[str, tuple[float, str]] = {}
    for leg in legs:
        here = (_least_distance(layout, leg.terminal, leg.station), leg.station)
        nearest[leg.terminal] = min(nearest.get(leg.terminal, here), here)
    far = {terminal: found for terminal, found in nearest.items() if found[0] > model.VALID.longest_m}
    for terminal, (distance_m, station) in list(far.items())[:1]:
        others = f" (and {len(far) - 1} more are too far)" if len(far) > 1 else ""
        yield Problem(
            (*path, "between"),
            f"'{terminal}' is never nearer to a station than {_km(distance_m)} ('{station}'); {name} is "
            f"valid up to {_km(model.VALID.longest_m)}{others}; move it, or choose another model "
            "(free-space and log-distance accept any distance)",
        )
    try:
        model.los_probability(
            10.0, station_height_m=figures.station_height_m, terminal_height_m=figures.terminal_height_m
        )
    except InputError as error:
        yield Problem((*path, "propagation"), str(error))


def _least_distance(layout: Layout, terminal: str, station: str) -> float:
    """Return a lower bound on the distance of two devices over time [m], from their areas of movement."""
    (left, low, right, high), (to_left, to_low, to_right, to_high) = (
        _whereabouts(layout, id_) for id_ in (terminal, station)
    )
    across_m = max(0.0, to_left - right, left - to_right)
    along_m = max(0.0, to_low - high, low - to_high)
    return math.hypot(across_m, along_m)


def _whereabouts(layout: Layout, id_: str) -> tuple[float, float, float, float]:
    """Return the rectangle in which a device stays: left, lower, right and upper edge [m]."""
    node = layout.nodes[id_]
    if node.place_m is not None:
        return (*node.place_m, *node.place_m)
    assert node.entry is not None
    assert node.entry.mobility is not None
    area = node.entry.mobility.area
    return (-math.inf, -math.inf, math.inf, math.inf) if area is None else area


def _cell_problems(layout: Layout) -> Iterator[Problem]:
    """Yield problems of cells whose entries disagree on settings that apply to the whole cell."""
    cells: dict[tuple[str, str], tuple[AirLink, tuple[object, ...]]] = {}
    reported: set[int] = set()
    for leg in layout.air:
        figures, radio = _figures(leg.entry), leg.entry.radio
        assert radio is not None
        shared = (
            figures.carrier_hz, figures.bandwidth_hz, figures.tdd, figures.access, figures.station,
            radio.fairness_window, radio.patience_s, leg.entry.interference,
        )  # fmt: skip
        first, known = cells.setdefault((leg.station, radio.use), (leg, shared))
        if known != shared and id(leg.entry) not in reported:
            reported.add(id(leg.entry))
            yield Problem(
                (*leg.path, "radio"),
                f"'{leg.station}' is one cell of {radio.use}, but links[{first.path[-1]}] gives it another "
                "band, access or station radio than this entry; write the same in both",
            )


def _handover_path_problems(layout: Layout) -> Iterator[Problem]:
    """Yield problems of stations between which a terminal can change, but no path exists for its messages."""
    n_stations = Counter(leg.terminal for leg in layout.air)
    fixed = [(leg.terminal, leg.station) for leg in layout.air if n_stations[leg.terminal] == 1]
    wires = [link.between for link in layout.links if not link.is_path]
    reach = Reach(layout.nodes, [*wires, *fixed], layout.forwarding)
    first: dict[str, str] = {}
    reported: set[int] = set()
    for leg in layout.air:
        station = first.setdefault(leg.terminal, leg.station)
        if reach.joins(station, leg.station) or id(leg.entry) in reported:
            continue
        reported.add(id(leg.entry))
        yield Problem(
            leg.path,
            f"'{leg.terminal}' can change from '{station}' to '{leg.station}', but no path of fixed links "
            "connects the two, over which its messages would continue; link the two, directly or over others",
        )


def _roaming_problems(layout: Layout) -> Iterator[Problem]:
    """Yield problems of terminals with two handover rules, or with a rule but only one station."""
    rules: dict[str, AirLink] = {}
    reported: set[int] = set()
    n_stations = Counter(leg.terminal for leg in layout.air)
    for leg in layout.air:
        rule = leg.entry.handover
        if rule is None or id(leg.entry) in reported:
            continue
        if n_stations[leg.terminal] < 2:
            reported.add(id(leg.entry))
            yield Problem(
                (*leg.path, "handover"),
                f"'{leg.terminal}' has a link to only one station, '{leg.station}'; link it to those that it "
                "can change to ('connect: all'), or leave 'handover' out",
            )
            continue
        first = rules.setdefault(leg.terminal, leg)
        if first.entry.handover != rule:
            reported.add(id(leg.entry))
            yield Problem(
                (*leg.path, "handover"),
                f"'{leg.terminal}' can have only one handover rule, and links[{first.path[-1]}] gives "
                "another; write it once",
            )


def _km(distance_m: float) -> str:
    return f"{distance_m / METRES_PER_KM:.3g} km" if distance_m >= METRES_PER_KM else f"{distance_m:.3g} m"
