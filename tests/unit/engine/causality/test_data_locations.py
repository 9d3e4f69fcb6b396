"""Where a request's data lie: each step by hand."""

from __future__ import annotations

from edgesim.engine.causality.data_locations import Contents, Ids, Place, Whereabouts, complete
from edgesim.model.architecture import Slice

N_BLOCKS = 4
FRONT, BACK = Slice(0, 2, embedding=True), Slice(2, 4, head=True)


def one_token() -> Whereabouts:
    """The first token through two stages on two devices."""
    there = Whereabouts().put("a", Place(has_prompt=True)).opened(0, 0, is_afresh=False, is_long=True)
    there = there.passed("a", FRONT, 2, N_BLOCKS, is_part=False)
    there = there.arrived("b", Contents(levels=there.at("a").levels))
    return there.passed("b", BACK, 4, N_BLOCKS, is_part=False)


def test_a_token_leaves_its_states_its_cache_and_its_id() -> None:
    there = one_token()
    assert there.at("a") == Place(has_prompt=True, levels=0b100, now=0b0011)
    assert there.at("b") == Place(ids=Ids.NOW, levels=0b10100, now=0b1100)
    assert there.now == 0b1111


def test_the_next_token_finds_caches_the_id_before_it_and_states_of_that_pass_alone() -> None:
    there = one_token().opened(1, 0, is_afresh=False, is_long=False)
    first, second = {"former": 0b100, "older": 0b100}, {"former": 0b10100, "older": 0b10100}
    assert there.at("a") == Place(has_prompt=True, whole=0b0011, **first)
    assert there.at("b") == Place(ids=Ids.BEFORE, whole=0b1100, **second)
    assert (there.made, there.now) == (0b1111, 0)


def test_a_cache_that_missed_a_token_is_whole_no_more() -> None:
    there = one_token().opened(1, 0, is_afresh=False, is_long=False)
    there = there.passed("c", FRONT, 2, N_BLOCKS, is_part=False)  # the second token elsewhere
    there = there.opened(1, 0, is_afresh=False, is_long=False)
    assert there.at("a").whole == there.at("c").whole == 0
    assert there.at("b").whole == 0b1100  # nobody has taken the second token through these


def test_computing_all_positions_anew_makes_a_cache_whole() -> None:
    there = one_token().opened(1, 0, is_afresh=True, is_long=True)
    there = there.passed("c", FRONT, 2, N_BLOCKS, is_part=False)
    assert complete(there, there.at("c")) == 0b0011
    assert there.opened(1, 0, is_afresh=False, is_long=False).at("c").whole == 0b0011


def test_a_moved_cache_is_as_whole_as_it_was() -> None:
    there = one_token()
    a = there.at("a")
    there = there.arrived("c", Contents(whole=a.whole, now=a.now, cache=complete(there, a)))
    assert there.opened(1, 0, is_afresh=False, is_long=False).at("c").whole == 0b0011


def test_an_exits_answer_is_an_id_once_the_token_may_leave() -> None:
    head = Slice(0, 2, embedding=True, head=True)
    there = Whereabouts().passed("a", head, 2, N_BLOCKS, is_part=False)
    assert there.at("a").ids == Ids.NONE
    assert there.leaving(2).at("a").ids == Ids.NOW
    asked_first = Whereabouts(left=2).passed("a", head, 2, N_BLOCKS, is_part=False)
    assert asked_first.at("a").ids == Ids.NOW


def test_ids_grow_old() -> None:
    assert [Ids.NOW.after(n) for n in range(4)] == [Ids.NOW, Ids.BEFORE, Ids.OLDER, Ids.OLDER]
    assert Ids.NONE.after(1) == Ids.NONE
