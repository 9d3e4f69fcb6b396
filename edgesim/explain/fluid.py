"""Upper bound on the request rate of a scenario's devices and links: sets up the linear programme."""

from __future__ import annotations

from edgesim.errors import ProfileError
from edgesim.explain.capacity import Capacity, Pipe, capacity
from edgesim.model.architecture import Slice
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.runner import Prepared
from edgesim.steps import Steps
from edgesim.units import bits
from edgesim.world.device import Device
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link, Way

__all__ = ["most_per_s"]


def most_per_s(prepared: Prepared) -> Capacity:
    """Bound the requests per second that any placement could answer, for a typical request.

    A request takes a device the time of prefill and decode of the whole model at the highest of the
    device's speeds; on a device that serves batches, the time of a full batch divided by its size. A wired
    link has the highest of its rates, a recorded one its mean, and a radio link its mean goodput when alone
    on the air; the links of one station share each direction of their band. Prompt and answer have the mean
    lengths of the workload. The sources' arrival rates are no constraint: those of a run differ from the
    workload's law, and the bound is to show how much more could be answered.

    Not modelled: early exits, which compute less than the whole model, and requests of unequal lengths. A run
    with these, or with an adaptive route or a favourable channel, may exceed the bound.
    """
    fleet = Fleet.of(prepared.planning_world(), prepared.longest)
    world, typical = prepared.planning_world(), fleet.typical
    seconds = {device.id: _seconds(fleet, device) for device in fleet.devices}
    pipes = [pipe for link in world.links for pipe in _pipes(link)]
    return capacity(
        seconds,
        [pipe for pipe in pipes if pipe.rate_bps > 0.0],
        [source for source in fleet.sources if fleet.rates_hz.get(source, 1.0) > 0.0],
        prompt_bits=float(bits(typical.n_prompt_tokens * fleet.prompt_bytes_per_token)),
        answer_bits=float(bits(typical.n_output_tokens * fleet.answer_bytes_per_token)),
    )


def _seconds(fleet: Fleet, device: Device) -> float:
    """Time that a typical request takes a device, in full batches if the device serves batches."""
    whole = fleet.model.whole
    alone_s = fleet.request_seconds(device.id, whole)  # uses the speed at time zero
    if device.speed is not None:
        alone_s *= device.speed_at(0.0) / max(device.speed.values)
    if device.serving is None or not device.serving.is_in_batches or device.timing is None:
        return alone_s
    n_batch = device.serving.most_at_once
    if not fleet.model.keeps_cache:
        return min(alone_s, fleet.request_seconds(device.id, whole, batch=n_batch))
    n_prompt = max(1, round(fleet.typical.n_prompt_tokens))
    n_steps = max(0.0, fleet.typical.n_output_tokens - 1)
    middle = max(1, round(n_prompt + (n_steps - 1) / 2))

    def pass_s(part: Slice, *, batch: int, n_new: int, n_context: int) -> float:
        assert device.timing is not None
        return float(device.timing.seconds(part, batch=batch, n_new=n_new, n_context=n_context))

    try:
        steps_s = n_steps * pass_s(whole, batch=n_batch, n_new=1, n_context=middle) / n_batch
        prompt_s = min(pass_s(whole, batch=size, n_new=n_prompt, n_context=0) / size for size in (1, n_batch))
    except ProfileError:  # such batches were not measured, so no run can have them
        return alone_s
    return min(alone_s, prompt_s + steps_s)  # devices that serve batches have no speed schedule


def _pipes(link: Link) -> list[Pipe]:
    """Both directions of a link."""
    found = []
    for sender, receiver in (link.between, link.between[::-1]):
        band = ""
        if link.radio is not None:
            way = "up" if sender == link.radio.terminal else "down"
            band = f"{link.radio.medium} {way}"
        found.append(Pipe(sender, receiver, _rate_bps(link.way(sender)), band))
    return found


def _rate_bps(way: Way) -> float:
    """Rate of one direction: the mean of a recording, the highest of a schedule."""
    if isinstance(way.rate_bps, RecordedRate):
        return way.rate_bps.mean_bps
    if isinstance(way.rate_bps, Steps):
        return max(way.rate_bps.values)
    return way.rate_bps(0.0) if callable(way.rate_bps) else way.rate_bps
