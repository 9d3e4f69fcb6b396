"""802.11's contention slot by slot and station by station, from the standard's rules; for comparison alone.

Everything here is written anew and shares nothing with edgesim: airtimes from the numbers of the standard,
and every station counts its own slots, one at a time. Stations send to one access point, which only
acknowledges. 802.11ax, 80 MHz, one stream, MCS 11, guard interval 0.8 us; best effort: AIFSN 3, windows 15 to
1023, TXOP 2.528 ms.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

US = 1e-6
SLOT, SIFS = 9 * US, 16 * US
AIFS = SIFS + 3 * SLOT
ACK, BLOCK_ACK, RTS, CTS = 28 * US, 32 * US, 28 * US, 28 * US  # 14, 32, 20 and 14 bytes at 24 Mb/s
EIFS = SIFS + 44 * US + AIFS  # an acknowledgement at 6 Mb/s takes 44 us
TIMEOUT = SIFS + SLOT + 20 * US
CW_MIN, CW_MAX, MOST_ATTEMPTS = 15, 1023, 7
PREAMBLE, SYMBOL, SYMBOL_BITS = 43.2 * US, 13.6 * US, 8166  # 980 tones x 10 bits x 5/6
MTU, HEADERS = 1500, 20 + 8 + 8 + 26 + 4  # IP, UDP, LLC/SNAP, MAC, FCS
RATE_BPS = 980 * 10 * 5 / 6 / SYMBOL
TXOP, MOST_FRAMES = 2528 * US, 64
NOTHING = 1e-10


def ppdu_s(n_bytes: int) -> float:
    """A data frame: preamble and whole symbols of service field and PSDU."""
    return PREAMBLE + SYMBOL * -(-(16 + 8 * n_bytes) // SYMBOL_BITS)


def subframe_bytes(payload: int) -> int:
    """Delimiter, and the frame padded to whole words."""
    return 4 + (payload + HEADERS + 3) // 4 * 4


def frames_of(size: int) -> list[int]:
    """Payloads that a message is cut into."""
    whole, rest = divmod(size, MTU)
    return [MTU] * whole + ([rest] if rest or not whole else [])


@dataclass(eq=False)
class Frame:
    """A frame of a message."""

    message: int
    payload: int
    n_attempts: int = 0


@dataclass(eq=False)
class Node:
    """A station."""

    queue: deque[Frame] = field(default_factory=deque)
    counter: int = 0
    cw: int = CW_MIN
    n_failures: int = 0
    boundary: float = 0.0  # its next slot boundary
    tx_s: float = 0.0
    rx_s: float = 0.0

    def aggregate(self, most_frames: int) -> tuple[list[Frame], int]:
        """Frames that go together, and their bytes."""
        taken: list[Frame] = []
        n_bytes = 0
        for frame in self.queue:
            longer = n_bytes + subframe_bytes(frame.payload)
            if taken and (len(taken) == most_frames or ppdu_s(longer) + SIFS + BLOCK_ACK > TXOP + NOTHING):
                break
            taken.append(frame)
            n_bytes = longer
        return taken, n_bytes


@dataclass
class Outcome:
    """The figures of a run."""

    ended_s: dict[int, float]
    dropped: set[int]
    attempts: dict[int, int]
    busy_s: float
    tx_s: float
    """All stations and the access point together: time of sending, and below of receiving."""
    rx_s: float
    until_s: float


def simulate(
    arrivals: Sequence[tuple[float, int, int]],
    n_stations: int,
    seed: int,
    *,
    most_frames: int = MOST_FRAMES,
    uses_rts: bool = False,
    until_s: float = math.inf,
) -> Outcome:
    """Run until all messages are through, or until an instant.

    Parameters
    ----------
    arrivals
        Instant, station and size in bytes of each message, in the order of instants.
    """
    draw = random.Random(seed)
    nodes = [Node() for _ in range(n_stations)]
    left = {number: len(frames_of(size)) for number, (_, _, size) in enumerate(arrivals)}
    out = Outcome({}, set(), dict.fromkeys(left, 1), 0.0, 0.0, 0.0, 0.0)
    coming = 0
    now = 0.0
    quiet_from = (
        0.0  # boundary grid of those who have nothing to count: when the air fell idle, and the space after
    )
    space = 0.0
    counting: list[Node] = []

    def arrive(number: int, busy: bool) -> None:
        at, station, size = arrivals[number]
        node = nodes[station]
        if not node.queue:
            if busy:
                if node.counter == 0:
                    node.counter = draw.randint(0, node.cw)
                if node not in counting:
                    counting.append(node)
            elif node not in counting:  # its backoff has ended long ago: the next boundary of its own grid
                node.boundary = quiet_from + space
                if at > node.boundary:
                    node.boundary += math.ceil((at - node.boundary) / SLOT - 1e-4) * SLOT
                counting.append(node)
        node.queue.extend(Frame(number, payload) for payload in frames_of(size))

    while now < until_s:
        # --- idle slots: every station that counts comes to its boundaries one after the other ------------
        senders: list[tuple[Node, float]] = []
        while True:
            node = min(counting, key=lambda one: one.boundary, default=None)
            at = math.inf if node is None else node.boundary
            if senders and at >= senders[0][1] + SLOT - NOTHING:
                break  # by now everyone has noticed
            if not senders and coming < len(arrivals) and arrivals[coming][0] <= at + NOTHING:
                arrive(coming, busy=False)
                coming += 1
                continue
            if node is None:
                out.until_s = now
                return _closed(out, nodes)
            if node.counter == 0 and node.queue:
                senders.append((node, at))
                node.boundary = math.inf
            elif node.counter > 0:
                node.counter -= 1
                node.boundary += SLOT
                if node.counter == 0 and not node.queue:
                    counting.remove(node)
            else:
                counting.remove(node)
        # --- a station sends -------------------------------------------------------------------------------
        began = senders[0][1]
        collided = len(senders) > 1
        sent: list[tuple[Node, list[Frame], float, float]] = []
        for node, at in senders:
            frames, n_bytes = node.aggregate(most_frames)
            data = ppdu_s(n_bytes)
            first = RTS if uses_rts else data
            answer = ACK if len(frames) == 1 else BLOCK_ACK
            sends, answers, ends = _clipped(at, first, until_s), 0.0, at + first
            if not collided:
                if uses_rts:
                    answers += _clipped(at + RTS + SIFS, CTS, until_s)
                    ends = at + RTS + CTS + 2 * SIFS + data
                    sends += _clipped(ends - data, data, until_s)
                answers += _clipped(ends + SIFS, answer, until_s)
                ends += SIFS + answer
            sent.append((node, frames, at + first, ends))
            node.tx_s += sends
            node.rx_s += answers
            out.tx_s += answers  # the access point's answers; what it receives comes below
            if not collided:
                out.rx_s += sends
        end = max(ends for *_, ends in sent)
        if collided:
            out.rx_s += min(end, until_s) - began
        out.busy_s += min(end, until_s) - began
        while coming < len(arrivals) and arrivals[coming][0] < end - NOTHING:
            arrive(coming, busy=True)
            coming += 1
        now, quiet_from, space = end, end, EIFS if collided else AIFS
        for node in counting:
            node.boundary = end + space
        for node, frames, first_ends, _ in sent:
            for frame in frames:
                frame.n_attempts += 1
                out.attempts[frame.message] = max(out.attempts[frame.message], frame.n_attempts)
            if collided:
                node.boundary = max(first_ends + TIMEOUT, end) + AIFS
                node.n_failures += 1
                node.cw = min(2 * node.cw + 1, CW_MAX)
                gone = [frame for frame in frames if frame.n_attempts == MOST_ATTEMPTS]
                out.dropped.update(frame.message for frame in gone)
                if node.n_failures == MOST_ATTEMPTS:
                    node.cw, node.n_failures = CW_MIN, 0
            else:
                node.boundary = end + AIFS
                node.cw, node.n_failures = CW_MIN, 0
                gone = frames
            for _ in frames:  # they are the first ones; those that stay go back in order
                node.queue.popleft()
            node.queue.extendleft(reversed([frame for frame in frames if frame not in gone]))
            for frame in gone:
                left[frame.message] -= 1
                if not left[frame.message] and end <= until_s:
                    out.ended_s[frame.message] = end
            node.counter = draw.randint(0, node.cw)
            if not node.queue and node.counter == 0:
                counting.remove(node)
    out.until_s = now
    return _closed(out, nodes)


def _clipped(at: float, lasts: float, until: float) -> float:
    return max(0.0, min(at + lasts, until) - at)


def _closed(out: Outcome, nodes: list[Node]) -> Outcome:
    out.tx_s += sum(node.tx_s for node in nodes)
    out.rx_s += sum(node.rx_s for node in nodes)
    return out
