"""A 5G cell slot by slot: every slot of the carrier is gone through, every number of resource blocks tried.

Written from the rules alone: equal parts one resource block at a time, requests and answers slot by slot.
Weighted parts are the product's own; they have a test of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from airwaves import STATION, Message

from edgesim.radio.access.grants import grant_by_weight
from edgesim.radio.radio_link import RadioLink


@dataclass
class Carrier:
    """What is known of the carrier; ``special`` symbols of an S slot are down, and none up."""

    slot_s: float
    n_prb: int
    pattern: str = ""  # both ways all of the time
    special: int = 10
    period: int = 20
    processing: int = 1
    k2: int = 1

    def part(self, slot: int, up: bool) -> float:
        """How much of a slot is a direction's."""
        if not self.pattern:
            return 1.0
        letter = self.pattern[slot % len(self.pattern)]
        return {"U": float(up), "D": float(not up), "S": 0.0 if up else self.special / 14}[letter]

    def granted(self, at_s: float, offset: int) -> int:
        """First uplink slot of a terminal that was silent until an instant."""
        for slot in count():
            if slot * self.slot_s >= at_s and (not self.period or slot % self.period == offset):
                break
        if self.period:
            while not self.part(slot, True):
                slot += 1
            slot += 1 + self.processing
            while not self.part(slot, False):
                slot += 1
            slot += self.k2
        while not self.part(slot, True):
            slot += 1
        return slot


@dataclass
class Sending:
    """A message on its way."""

    place: int
    message: Message
    left_bits: float
    slot: int
    tx_s: float = 0.0
    rx_s: float = 0.0


@dataclass
class Turns:
    """What schedulers remember."""

    order: list[str] = field(default_factory=list)
    averages: dict[str, float] = field(default_factory=dict)


def one_by_one(wants: Mapping[str, int], n_prb: int) -> dict[str, int]:
    """Each resource block to the one that has fewest, of those that want one."""
    got = dict.fromkeys(wants, 0)
    for _ in range(min(n_prb, sum(wants.values()))):
        able = [one for one in wants if got[one] < wants[one]]
        got[min(able, key=got.__getitem__)] += 1
    return got


def shared(
    access: str,
    wants: dict[str, int],
    whole: dict[str, float],
    weights: Mapping[str, float],
    n_prb: int,
    memory: Turns,
) -> dict[str, int]:
    """Who has how many resource blocks of a slot."""
    if len(wants) == 1:
        return wants
    order = list(wants)
    if access in ("round-robin", "tdma") or len(wants) > n_prb:
        memory.order += [one for one in wants if one not in memory.order]
        order = [one for one in memory.order if one in wants]
    if access == "max-rate":
        order.sort(key=lambda one: -whole[one])
    if access == "proportional-fair":
        order.sort(
            key=lambda one: (whole[one] / (memory.averages.get(one) or 1e-300), whole[one]), reverse=True
        )
    if access in ("equal", "weighted"):
        if len(wants) <= n_prb:
            return one_by_one(wants, n_prb) if access == "equal" else grant_by_weight(wants, weights, n_prb)
        got = dict.fromkeys(order[:n_prb], 1)
    elif access == "tdma":
        got = {order[0]: wants[order[0]]}
    else:
        got, left = {}, n_prb
        for one in order:
            got[one] = min(left, wants[one])
            left -= got[one]
    memory.order = [one for one in memory.order if not got.get(one)] + [
        one for one in memory.order if got.get(one)
    ]
    if access == "proportional-fair":
        memory.averages = {one: 0.99 * old for one, old in memory.averages.items()}
        for one in wants:
            sent = whole[one] * got.get(one, 0) / n_prb
            memory.averages[one] = memory.averages.get(one, 0.0) + 0.01 * sent
    return {one: n for one, n in got.items() if n}


def ends(
    carrier: Carrier,
    links: Mapping[str, RadioLink],
    messages: Sequence[Message],
    *,
    up: bool,
    access: str = "equal",
    weights: Mapping[str, float] | None = None,
    offsets: Mapping[str, int] | None = None,
) -> dict[Message, tuple[float, float, float]]:
    """When each message's last slot ends, and how long its sender and its receiver have been active."""
    weights = weights or dict.fromkeys(links, 1.0)
    waiting = sorted(enumerate(messages), key=lambda one: one[1].at_s)
    n_prb, slot_s = carrier.n_prb, carrier.slot_s
    active: dict[str, list[Sending]] = {}
    last_end_s: dict[str, float] = {}
    ended: dict[Message, tuple[float, float, float]] = {}
    memory = Turns()

    def arrive(until_s: float) -> None:
        """Let messages come up to an instant, each with the first slot that it may have."""
        while waiting and waiting[0][1].at_s <= until_s:
            place, message = waiting.pop(0)
            terminal = message.source if up else message.target
            first = next(s for s in count() if s * slot_s >= message.at_s and carrier.part(s, up))
            if up and terminal in active:  # it has asked, or sends
                first = max(first, min(one.slot for one in active[terminal]))
            elif up:
                cycle = carrier.processing + carrier.k2 if carrier.period else 0
                if message.at_s > last_end_s.get(terminal, -1.0) + cycle * slot_s:
                    first = carrier.granted(message.at_s, (offsets or {}).get(terminal, 0))
            active.setdefault(terminal, []).append(Sending(place, message, message.n_bits, first))

    for slot in count():
        if not waiting and not active:
            return ended
        begin_s, part = slot * slot_s, carrier.part(slot, up)
        if not part:
            continue
        arrive(begin_s)
        sends = {name: [one for one in own if one.slot <= slot] for name, own in active.items()}
        sends = {name: own for name, own in sends.items() if own}
        if not sends:
            continue

        def bits(name: str, n: int, at_s: float = begin_s) -> float:
            """What a terminal's grant of so many resource blocks carries in a whole slot."""
            return float(links[name].state(at_s, uplink=up, band_share=n / n_prb).grant.block_bits)

        # Those whose message is oldest first.
        sends = dict(sorted(sends.items(), key=lambda item: min(one.place for one in item[1])))
        wants = {}
        for name, own in sends.items():
            total = sum(one.left_bits for one in own)
            able = (n for n in range(1, n_prb) if bits(name, n) * part >= total > 0)
            wants[name] = next(able, n_prb) if bits(name, n_prb) * part > total else n_prb
        whole = {name: bits(name, n_prb) * part for name in sends}
        for name, n in shared(access, wants, whole, weights, n_prb, memory).items():
            left_bits, own = bits(name, n) * part, sends[name]
            sent = {}
            for rank, one in enumerate(sorted(own, key=lambda one: one.left_bits)):
                sent[id(one)] = min(one.left_bits, left_bits / (len(own) - rank))
                left_bits -= sent[id(one)]
            total = sum(sent.values())
            for one in own:
                of_grant = sent[id(one)] / total
                one.left_bits -= sent[id(one)]
                one.tx_s += part * slot_s * of_grant * (1.0 if up else n / n_prb)
                one.rx_s += part * slot_s * of_grant * (n / n_prb if up else 1.0)
                if one.left_bits < 1e-6:
                    ended[one.message] = (begin_s + part * slot_s, one.tx_s, one.rx_s)
        arrive(begin_s + part * slot_s)
        for name in list(active):
            active[name] = [one for one in active[name] if one.left_bits >= 1e-6]
            if not active[name]:
                del active[name]
                last_end_s[name] = begin_s + part * slot_s
                memory.averages.pop(name, None)
                memory.order = [one for one in memory.order if one != name]


def is_up(message: Message) -> bool:
    return message.target == STATION
