"""Closed workloads: what is asked is a pure function of seed, user (or session) and turn."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Deterministic, Poisson
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.conversation import Turn
from edgesim.workload.lengths import Fixed, Lognormal, Uniform
from edgesim.workload.requests import Extent, MeanLengths
from edgesim.workload.sessions import Sessions
from edgesim.workload.think import ExponentialThink, FixedThink, Think, think_times

USERS = ClosedLoop(
    n_users=3,
    think=ExponentialThink(5.0),
    prompt_tokens=Uniform(4, 60),
    output_tokens=Uniform(1, 9),
    sources=("a", "b"),
    n_requests=11,
)
CHATS = Sessions(
    arrivals=Poisson(0.5),
    turns=Uniform(1, 5),
    think=FixedThink(2.0),
    prompt_tokens=Uniform(4, 60),
    output_tokens=Uniform(1, 9),
    sources=("a", "b"),
    horizon_s=200.0,
)


def turns(workload: ClosedLoop | Sessions, seed: int = 1, replication: int = 0) -> list[list[Turn]]:
    return [list(c.turns) for c in workload.conversations(Streams(seed, replication))]


def test_requests_are_dealt_out_by_user_and_turn() -> None:
    asked = turns(USERS)
    assert [[turn.id for turn in user] for user in asked] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8]]
    assert [{turn.source for turn in user} for user in asked] == [{"a"}, {"b"}, {"a"}]


def test_a_users_first_request_comes_at_its_start_and_the_next_after_thinking() -> None:
    conversations = list(replace(USERS, stagger_s=1.5).conversations(Streams(1)))
    assert [c.starts_at_s for c in conversations] == [0.0, 1.5, 3.0]
    thought = [[turn.think_s for turn in c.turns] for c in conversations]
    assert all(user[0] == 0 and min(user[1:]) > 0 for user in thought)


def test_what_a_user_asks_depends_on_seed_user_and_turn_alone() -> None:
    short, same = turns(USERS), turns(replace(USERS, n_requests=300))
    more = turns(replace(USERS, n_users=7, n_requests=300))
    for user in range(3):
        assert same[user][: len(short[user])] == short[user]
        asked = [turn[2:] for turn in same[user]]  # all but number and source
        assert asked[: len(more[user])] == [turn[2:] for turn in more[user]][: len(asked)]
    assert turns(USERS) == short
    assert turns(USERS, replication=1) != short
    assert turns(USERS, seed=2) != short


def test_users_who_take_turns_to_be_read_see_what_each_reads_alone() -> None:
    alone = turns(USERS)
    readers = [c.turns for c in USERS.conversations(Streams(1))]
    seen: list[list[Turn]] = [[], [], []]
    for user in (2, 0, 0, 1, 2, 0, 1, 1, 2, 0, 1):
        seen[user].append(next(readers[user]))
    assert seen == alone


def test_users_are_independent_of_one_another() -> None:
    many = turns(replace(USERS, n_users=2, n_requests=4000))
    a, b = ([turn.n_prompt_tokens for turn in user] for user in many)
    assert stats.spearmanr(a, b).pvalue > 1e-3
    assert stats.chisquare(np.unique(a, return_counts=True)[1]).pvalue > 1e-3


def test_a_number_of_requests_makes_the_extent_exact_and_a_horizon_alone_a_bound() -> None:
    asked = [turn for user in turns(USERS) for turn in user]
    assert USERS.extent(Streams(1)) == Extent(
        11,
        max(t.n_prompt_tokens for t in asked),
        max(t.n_output_tokens for t in asked),
        max(t.n_prompt_tokens + t.n_output_tokens for t in asked),
    )
    endless = replace(USERS, n_requests=None, horizon_s=60.0)
    assert endless.extent(Streams(1)) == Extent(3, 60, 9, 69)
    assert all(c.is_endless for c in endless.conversations(Streams(1)))
    assert not any(c.is_endless for c in USERS.conversations(Streams(1)))


def test_users_who_would_start_after_the_end_do_not_come() -> None:
    late = replace(USERS, n_requests=None, horizon_s=3.0, stagger_s=1.5)
    assert [c.starts_at_s for c in late.conversations(Streams(1))] == [0.0, 1.5]
    assert len(turns(replace(USERS, n_requests=2))) == 2


def test_unbounded_lengths_need_a_number_of_requests() -> None:
    law = Lognormal(median=20, sigma=1.0)
    assert replace(USERS, prompt_tokens=law).n_requests == 11
    with pytest.raises(InputError, match="give the lengths a 'max'"):
        replace(USERS, prompt_tokens=law, n_requests=None, horizon_s=10.0)


def test_each_prompt_carries_the_history_of_its_session() -> None:
    plain = turns(replace(CHATS, max_history_tokens=0))
    for session, bare in zip(turns(CHATS), plain, strict=True):
        history = 0
        for turn, new in zip(session, bare, strict=True):
            assert turn.n_prompt_tokens == history + new.n_prompt_tokens
            assert turn.n_output_tokens == new.n_output_tokens
            history += new.n_prompt_tokens + new.n_output_tokens


def test_history_beyond_its_limit_is_left_out_and_counted() -> None:
    limited = replace(CHATS, max_history_tokens=50)
    n_cut = 0
    for session, whole in zip(turns(limited), turns(CHATS), strict=True):
        new = [t.n_prompt_tokens for t in whole]
        for index in range(1, len(whole)):
            history = whole[index - 1].n_prompt_tokens + whole[index - 1].n_output_tokens
            n_cut += history > 50
            assert session[index].n_prompt_tokens == min(history, 50) + new[index] - history
    told = limited.notes(Streams(1))
    assert n_cut > 0
    assert told["n_prompts_without_their_oldest_history"] == n_cut
    assert CHATS.notes(Streams(1))["n_prompts_without_their_oldest_history"] == 0


def test_sessions_are_numbered_one_after_the_other_and_stay_at_their_source() -> None:
    sessions = turns(CHATS)
    assert [turn.id for session in sessions for turn in session] == list(range(sum(map(len, sessions))))
    assert all(len({turn.source for turn in session}) == 1 for session in sessions)
    assert {turn.source for session in sessions for turn in session} == {"a", "b"}
    assert all([t.think_s for t in session] == [0.0] + [2.0] * (len(session) - 1) for session in sessions)


def test_sessions_start_by_the_law_of_arrivals_before_the_horizon() -> None:
    law = replace(CHATS, arrivals=Deterministic(0.1), horizon_s=30.0)
    assert [c.starts_at_s for c in law.conversations(Streams(1))] == [0.0, 10.0, 20.0]


def test_a_number_of_requests_ends_the_last_session_early() -> None:
    whole = turns(CHATS)
    cut = turns(replace(CHATS, horizon_s=None, n_requests=17))
    assert [turn for session in cut for turn in session] == [t for s in whole for t in s][:17]


def test_the_extent_of_sessions_covers_every_turn() -> None:
    asked = [turn for session in turns(CHATS) for turn in session]
    extent = CHATS.extent(Streams(1))
    assert extent.n_requests == len(asked)
    assert extent.n_tokens == max(t.n_prompt_tokens + t.n_output_tokens for t in asked)


def test_typical_lengths_count_the_history() -> None:
    # Two turns of 10 + 6 tokens: prompts of 10 and 26, in the mean 18.
    law = replace(CHATS, turns=Fixed(2), prompt_tokens=Fixed(10), output_tokens=Fixed(6))
    assert law.typical == MeanLengths(18.0, 6.0)
    assert USERS.typical == MeanLengths(32.0, 5.0)


def test_closed_workloads_say_so_and_tell_no_instants() -> None:
    for workload in (USERS, CHATS):
        assert workload.is_closed
        assert workload.notes(Streams(1))["arrivals_depend_on_strategy"] is True
        assert list(workload.requests(Streams(1))) == []


@pytest.mark.parametrize("law", [FixedThink(3.0), ExponentialThink(3.0)])
def test_think_times_have_their_mean(law: Think) -> None:
    drawn = np.fromiter(islice(think_times(law, Streams(1)["think"]), 40_000), float)
    z = float(stats.norm.ppf(1 - 0.5e-4))
    assert drawn.mean() == pytest.approx(law.mean_s, abs=z * law.mean_s / np.sqrt(40_000))
    if isinstance(law, ExponentialThink):
        assert stats.kstest(drawn, "expon", args=(0, 3.0)).pvalue > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(USERS, n_users=0),
        lambda: replace(USERS, stagger_s=-1.0),
        lambda: replace(USERS, sources=()),
        lambda: replace(USERS, n_requests=None),
        lambda: replace(CHATS, horizon_s=None),
        lambda: replace(CHATS, max_history_tokens=-1),
        lambda: FixedThink(-1.0),
        lambda: ExponentialThink(0.0),
    ],
)
def test_impossible_workloads_are_refused(make) -> None:
    with pytest.raises(InputError, match=r"expected|give the lengths"):
        make()
