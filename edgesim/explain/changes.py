"""Single changes of a scenario that may reduce the delay, each as a description and as overrides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from edgesim.scenario.build import kinds_used
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.schema.by_way import ByDirection, ways
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.schema.topology import DeviceEntry, LinkEntry, Wired
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.steps import Steps

__all__ = ["Change", "changes"]

_BATCH = 16  # default max_batch of continuous batching


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a scenario.

    Attributes
    ----------
    what
        Description.
    sets
        Overrides in the syntax of ``--set``, one path and value each.
    touches
        Names of the devices, groups or ends of a link that it changes; empty: an option of the strategy.
    kind
        ``speed``, ``rate``, ``latency``, ``messages``, ``memory``, ``batch``, ``count`` or ``option``.
    """

    what: str
    sets: tuple[str, ...]
    touches: tuple[str, ...]
    kind: str


def changes(scenario: Scenario, label: str) -> tuple[Change, ...]:
    """List all single changes to try for a strategy.

    For every entry of devices: twice the speed, half the cost of messages, twice the memory, one more device
    (in a group that is not a source of requests), and other batch settings. For every entry of links and
    paths: twice the rate or bandwidth, half the latency. For the strategy: every other value of its Boolean
    and enumerated options. Values that follow a schedule, recordings, generated graphs and graph files are
    not changed.
    """
    topology = scenario.topology
    found: list[Change] = []
    asking = set(scenario.workload.sources or ())
    for place, device in enumerate(topology.devices):
        found += _of_devices(scenario, device, f"topology.devices[{place}]", asking)
    for place, link in enumerate(topology.links):
        found += _of_links(link, f"topology.links[{place}]")
    for place, path in enumerate(topology.paths):
        name = f"{path.between[0]} to {path.between[1]}"
        found += _of_wires(path, f"topology.paths[{place}]", name, path.between)
    found += _of_options(scenario, label)
    return tuple(found)


def _of_devices(scenario: Scenario, entry: DeviceEntry, at: str, asking: set[str]) -> Iterator[Change]:
    touches = (entry.id,)
    speed = None if entry.speed is None else entry.speed.value().values
    if speed is None or len(speed) == 1:
        factor = 2.0 * (1.0 if speed is None else speed[0])
        yield Change(f"{entry.id} computes twice as fast", (f"{at}.speed={factor:g}",), touches, "speed")
    kind = kinds_used(scenario).get(entry.kind)
    costs_s = _message_costs(entry, kind)
    if costs_s:
        halved = tuple(f"{at}.endpoint.{name}={cost_s / 2:.12g} s" for name, cost_s in costs_s.items())
        yield Change(f"messages cost {entry.id} half as much", halved, touches, "messages")
    size_bytes = entry.memory_bytes
    if size_bytes is None and kind is not None:
        size_bytes = kind.memory_bytes.value
    if size_bytes:
        yield Change(
            f"{entry.id} has twice the memory", (f"{at}.memory={2 * size_bytes:.0f} B",), touches, "memory"
        )
    if entry.count is not None and entry.id not in asking and asking:
        yield Change(
            f"{entry.count + 1} instead of {entry.count} {entry.id}",
            (f"{at}.count={entry.count + 1}",),
            touches,
            "count",
        )
    yield from _of_batches(entry, at)


def _message_costs(entry: DeviceEntry, kind: DeviceKind | None) -> dict[str, float]:
    """Collect the nonzero costs of a message on a device, in seconds by the name of the setting."""
    found: dict[str, float] = {}
    for name in ("overhead", "latency"):
        own = None if entry.endpoint is None else getattr(entry.endpoint, f"{name}_s")
        if own is None and kind is not None:
            figure = getattr(kind.endpoint, f"{name}_s")
            own = None if figure is None else figure.value
        if own:
            found[name] = own
    return found


def _of_batches(entry: DeviceEntry, at: str) -> Iterator[Change]:
    serving = entry.serving
    touches = (entry.id,)
    if serving is None or serving.chosen.discipline.is_in_turn:
        what = f"{entry.id} serves in continuous batches of up to {_BATCH}"
        yield Change(what, (f"{at}.serving={{continuous: {{max_batch: {_BATCH}}}}}",), touches, "batch")
        return
    keys = {name: field.alias or name for name, field in type(serving.chosen).model_fields.items()}
    found = {name: getattr(serving.chosen, name) for name in keys}
    found = {name: value for name, value in found.items() if isinstance(value, int | float) and value}

    def changed(what: str, name: str, value: str) -> Change:
        return Change(what, (f"{at}.serving.{serving.name}.{keys[name]}={value}",), touches, "batch")

    if size := found.get("max_batch"):
        what = f"{entry.id} serves batches of up to {2 * size} instead of {size}"
        yield changed(what, "max_batch", f"{2 * size}")
    if wait_s := found.get("max_wait_s"):
        what = f"batches on {entry.id} wait half as long for further requests"
        yield changed(what, "max_wait_s", f"{wait_s / 2:.12g} s")
    if n_tokens := found.get("max_tokens"):
        what = f"iterations on {entry.id} contain up to {2 * n_tokens} tokens"
        yield changed(what, "max_tokens", f"{2 * n_tokens}")


def _of_links(link: LinkEntry, at: str) -> Iterator[Change]:
    name = f"{link.between[0]} to {link.between[1]}"
    if link.wired is not None:
        yield from _of_wires(link.wired, f"{at}.wired", name, link.between)
    if link.radio is not None:
        given = link.radio
        kind = radio_kind(given.use)
        for what, key, value, factor, unit, sort in (
            (
                "twice the bandwidth",
                "bandwidth",
                given.bandwidth_hz or kind.bandwidth_hz.value,
                2.0,
                "Hz",
                "rate",
            ),
            (
                "half the fixed delay",
                "latency",
                kind.latency_s.value if given.latency_s is None else given.latency_s,
                0.5,
                "s",
                "latency",
            ),
        ):
            if value:
                sets = f"{at}.radio.{key}={value * factor:.12g} {unit}"
                yield Change(f"radio {name}: {what}", (sets,), link.between, sort)


def _of_wires(wired: Wired, at: str, name: str, between: tuple[str, str]) -> Iterator[Change]:
    rates, latencies = wired.rates_bps(), ways(wired.latency_s)
    if not any(isinstance(rate, Steps) for rate in rates):
        doubled = ByDirection(*(2.0 * float(rate) for rate in rates if not isinstance(rate, Steps)))
        yield Change(
            f"link {name}: twice the rate", (f"{at}.rate={_both(doubled, 'bit/s')}",), between, "rate"
        )
    if any(latencies):
        halved = latencies.map(lambda latency_s: latency_s / 2)
        yield Change(
            f"link {name}: half the latency", (f"{at}.latency={_both(halved, 's')}",), between, "latency"
        )


def _both(value: ByDirection[float], unit: str) -> str:
    if value.is_one:
        return f"{value.up:.12g} {unit}"
    return f"{{up: {value.up:.12g} {unit}, down: {value.down:.12g} {unit}}}"


def _of_options(scenario: Scenario, label: str) -> Iterator[Change]:
    strategies = strategies_by_label(scenario)
    place, strategy = list(strategies).index(label), strategies[label]
    for name, option in type(strategy).model_fields.items():
        now = getattr(strategy, name)
        for value in _values(option.annotation):
            if value != now and type(value) is type(now):
                text = str(value).lower() if isinstance(value, bool) else str(value)
                what = f"{name}: {text} instead of {str(now).lower() if isinstance(now, bool) else now}"
                yield Change(what, (f"strategies[{place}].{name}={text}",), (), "option")


def _values(annotation: Any) -> tuple[Any, ...]:
    """List the values of a Boolean or enumerated option; empty for any other type, lists included."""
    if annotation is bool:
        return (True, False)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(value for each in get_args(annotation) for value in _values(each))
    return ()
