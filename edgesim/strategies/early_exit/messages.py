"""Messages between DTO-EE's nodes: offers down the stages, prices up.

An offloader sends over each of its links the rate of its tasks there now, the rate that it would send, the
price that this answers, and the decrease of the rate per second of price. A receiver answers with a task's
cost at it and after it. Both also send their view of the exits' thresholds on their side.

A lost offer leaves the previous one in force. An offer contains the price that its offloader knew, so that a
receiver can combine offers that answer different prices. (In the bytes of a message this price is an index
into a few that a receiver keeps.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgesim.strategies.early_exit.control_messages import Entry, Mail
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["OffersAndPrices"]

Floats = NDArray[np.float64]


class OffersAndPrices:
    """Offers and prices, as last received.

    Attributes
    ----------
    sent_per_s, offered_per_s, response_per_s2 : [n_links]
        Present rate, offered rate and response, as known at the link's end.
    offered_at_s : [n_links]
        Price that the offer answers.
    offered_in : [n_links]
        Round of that offer.
    price_s : [n_links]
        Price, as known at the link's beginning.
    exits_before, exits_behind : [n_links, n_stages - 1]
        Levels of the exits' thresholds in the view of the link's beginning, as known at its end; and vice
        versa.
    """

    def __init__(
        self,
        state: RunState,
        size_bytes: float,
        *,
        sent_per_s: Floats,
        price_s: Floats,
        exits: Floats,
    ) -> None:
        self._mail = Mail(state, size_bytes, on_up=self._on_price, on_down=self._on_offer)
        self.sent_per_s, self.offered_per_s = sent_per_s.copy(), sent_per_s.copy()
        self.response_per_s2 = np.zeros(state.network.n_links)
        self.price_s, self.offered_at_s = price_s.copy(), price_s.copy()
        self.offered_in = np.zeros(state.network.n_links)
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
        """Send over links the present and the offered rate, its response, and the view of the exits."""
        numbers = np.full(len(sent), float(round_number))
        self._mail.down(cluster, links, _entries(sent, offered, falls, self.price_s[links], numbers, exits))

    def price(self, cluster: Cluster, links: slice, prices_s: Floats, exits: Floats) -> None:
        """Send back over links a task's cost at their end and after it, and the view of the exits."""
        self._mail.up(cluster, links, _entries(prices_s, exits))

    def _on_offer(self, link: int, entry: Entry) -> None:
        self.sent_per_s[link], self.offered_per_s[link], self.response_per_s2[link] = entry[:3]
        self.offered_at_s[link], self.offered_in[link] = entry[3:5]
        self.exits_before[link] = entry[5:]

    def _on_price(self, link: int, entry: Entry) -> None:
        self.price_s[link] = entry[0]
        self.exits_behind[link] = entry[1:]


def _entries(*columns: Floats) -> Iterator[Entry]:
    """Return one entry per link."""
    return map(tuple, np.column_stack(columns).tolist())
