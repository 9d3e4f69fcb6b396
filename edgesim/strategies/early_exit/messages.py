"""What DTO-EE's nodes say to one another: offers down the stages, prices up.

An offloader says over each of its links at which rate it sends tasks now, at which it would, and by how much
that rate falls per second of price; a receiver answers with what a task costs with it and after it. Both say
besides how they believe that exits stand, each on its side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgesim.strategies.early_exit.mail import Entry, Mail
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["Messages"]

Floats = NDArray[np.float64]


class Messages:
    """Offers and prices as they are known.

    Attributes
    ----------
    sent_per_s, offered_per_s, response_per_s2 : [n_links]
        As known where the link ends.
    price_s : [n_links]
        As known where it begins.
    answered_in : [n_links]
        The round of the offer to which that price is an answer, as known where it begins.
    exits_before, exits_behind : [n_links, n_stages - 1]
        Levels of the exits' thresholds as its beginning believes them, known where it ends; and vice versa.
    """

    def __init__(
        self, state: RunState, size_bytes: float, *, sent_per_s: Floats, price_s: Floats, exits: Floats
    ) -> None:
        self._mail = Mail(state, size_bytes, hear_up=self._hear_price, hear_down=self._hear_offer)
        self.sent_per_s, self.offered_per_s = sent_per_s.copy(), sent_per_s.copy()
        self.response_per_s2 = np.zeros(state.network.n_links)
        self.price_s = price_s.copy()
        self._offered_in, self.answered_in = np.zeros((2, state.network.n_links))
        self.exits_before, self.exits_behind = exits.copy(), exits.copy()
        self.read_offers, self.read_prices = self._mail.read_at_heads, self._mail.read_at_tails

    def offer(
        self,
        cluster: Cluster,
        links: slice,
        sent: Floats,
        offered: Floats,
        falls: Floats,
        exits: Floats,
        round_number: int,
    ) -> None:
        """Say over links what is sent, what would be, how that responds, and how exits stand."""
        numbers = np.full(len(sent), float(round_number))
        self._mail.down(cluster, links, _entries(sent, offered, falls, numbers, exits))

    def price(self, cluster: Cluster, links: slice, prices_s: Floats, exits: Floats) -> None:
        """Say back over links what a task costs where they lead, and how exits stand."""
        self._mail.up(cluster, links, _entries(prices_s, self._offered_in[links], exits))

    def _hear_offer(self, link: int, entry: Entry) -> None:
        self.sent_per_s[link], self.offered_per_s[link], self.response_per_s2[link] = entry[:3]
        self._offered_in[link] = entry[3]
        self.exits_before[link] = entry[4:]

    def _hear_price(self, link: int, entry: Entry) -> None:
        self.price_s[link], self.answered_in[link] = entry[:2]
        self.exits_behind[link] = entry[2:]


def _entries(*columns: Floats) -> Iterator[Entry]:
    """One entry for each link."""
    return map(tuple, np.column_stack(columns).tolist())
