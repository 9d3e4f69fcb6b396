"""What DTO-EE's nodes say to one another: offers down the stages, prices up.

An offloader says over each of its links at which rate it sends tasks now, at which it would, and by how much
that rate falls per second of price, and from which price on; a receiver answers with what a task costs with
it and after it. Both say besides how they believe that exits stand, each on its side.

An offer that is lost leaves the one before in force, and an offer answers the price that its offloader knew:
since it says which, a receiver can reckon with offers that answer different prices. (In a message's bytes
that price is its number, of a few that a receiver keeps.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgesim.strategies.early_exit.mail import Entry, Mail
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster

__all__ = ["OffersAndPrices"]

Floats = NDArray[np.float64]


class OffersAndPrices:
    """Offers and prices as they are known.

    Attributes
    ----------
    sent_per_s, offered_per_s, response_per_s2 : [n_links]
        As known where the link ends.
    offered_at_s : [n_links]
        The price at which that was offered.
    offered_in : [n_links]
        The round of that offer.
    price_s : [n_links]
        As known where it begins.
    exits_before, exits_behind : [n_links, n_stages - 1]
        Levels of the exits' thresholds as its beginning believes them, known where it ends; and vice versa.
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
        self._mail = Mail(state, size_bytes, hear_up=self._hear_price, hear_down=self._hear_offer)
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
        """Say over links what is sent, what would be at known prices, its response, and how exits stand."""
        numbers = np.full(len(sent), float(round_number))
        self._mail.down(cluster, links, _entries(sent, offered, falls, self.price_s[links], numbers, exits))

    def price(self, cluster: Cluster, links: slice, prices_s: Floats, exits: Floats) -> None:
        """Say back over links what a task costs where they lead, and how exits stand."""
        self._mail.up(cluster, links, _entries(prices_s, exits))

    def _hear_offer(self, link: int, entry: Entry) -> None:
        self.sent_per_s[link], self.offered_per_s[link], self.response_per_s2[link] = entry[:3]
        self.offered_at_s[link], self.offered_in[link] = entry[3:5]
        self.exits_before[link] = entry[5:]

    def _hear_price(self, link: int, entry: Entry) -> None:
        self.price_s[link] = entry[0]
        self.exits_behind[link] = entry[1:]


def _entries(*columns: Floats) -> Iterator[Entry]:
    """One entry for each link."""
    return map(tuple, np.column_stack(columns).tolist())
