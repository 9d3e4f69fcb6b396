"""Conversion of a topology node and its device kind to a device of the world."""

from __future__ import annotations

from dataclasses import replace

from edgesim.model.profile import Timing
from edgesim.scenario.runtimes import runtime_of
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.topology import DeviceEntry
from edgesim.scenario.topology.topology import Node
from edgesim.world.device import Device, Endpoint, Power

__all__ = ["device", "switch", "timing_name"]


def timing_name(node: Node) -> str:
    """Return the name of a device's timing: its kind, with the group appended if it has own times."""
    entry = node.entry
    own = entry is not None and (entry.profile or entry.runtime is not None or entry.power_mode is not None)
    return f"{node.kind} ({node.group})" if own else node.kind


def device(node: Node, kind: DeviceKind, timing: Timing, *, forwards: bool) -> Device:
    """Return a device with its kind's figures, overridden by its entry's."""
    made = Device(
        id=node.id,
        group=node.group,
        kind=node.kind,
        memory_bytes=kind.memory_bytes.value,
        process_bytes=kind.process_bytes.value,
        load_copies=1.0 if kind.load_copies is None else kind.load_copies.value,
        start_up_s=0.0 if kind.start_up_s is None else kind.start_up_s.value,
        timing=timing,
        power=_power(kind),
        endpoint=_endpoint(kind),
        service=None if kind.service is None else kind.service.value(),
        lateness=None if kind.lateness is None else kind.lateness.value(),
        place_m=node.place_m,
        forwards=forwards,
    )
    return made if node.entry is None else _overridden(made, node.entry)


def _power(kind: DeviceKind) -> Power:
    """Return a kind's power draw in its power mode."""
    active_w = kind.mode(kind.description).active_w
    power = kind.power_values()
    return power if active_w is None else replace(power, active_w=active_w)


def _endpoint(kind: DeviceKind) -> Endpoint:
    """Return a kind's message costs, overridden by its engine's if given."""
    endpoint, found = kind.endpoint_values(), runtime_of(kind)
    if found is None:
        return endpoint
    _, runtime = found
    return replace(
        endpoint,
        overhead_s=endpoint.overhead_s if runtime.message_overhead_s is None else runtime.message_overhead_s,
        on_compute=endpoint.on_compute if runtime.on_compute is None else runtime.on_compute,
    )


def _overridden(device: Device, entry: DeviceEntry) -> Device:
    """Return the device with the figures of its entry instead of its kind's."""
    power = {} if entry.power is None else entry.power.model_dump(exclude_none=True)
    endpoint = {} if entry.endpoint is None else entry.endpoint.model_dump(exclude_none=True)
    if entry.endpoint is not None and entry.endpoint.tcp is not None:
        endpoint["tcp"] = entry.endpoint.tcp.value()
    return replace(
        device,
        memory_bytes=device.memory_bytes if entry.memory_bytes is None else entry.memory_bytes,
        process_bytes=device.process_bytes if entry.process_bytes is None else entry.process_bytes,
        start_up_s=device.start_up_s if entry.start_up_s is None else entry.start_up_s,
        power=replace(device.power, **power),
        endpoint=replace(device.endpoint, **endpoint),
        serving=None if entry.serving is None else entry.serving.value(),
        service=device.service if entry.service is None else entry.service.value(),
        lateness=device.lateness if entry.lateness is None else entry.lateness.value(),
        speed=None if entry.speed is None else entry.speed.value(),
        battery=None if entry.battery is None else entry.battery.value(),
    )


def switch(node: Node) -> Device:
    """Return a node that forwards messages and computes nothing."""
    return Device(
        id=node.id, group=node.group, kind="switch", memory_bytes=0, timing=None, place_m=node.place_m
    )
