from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import simpy
from simpy.events import URGENT

from edgesim.engine.process.clock import Clock, Life

Log = list[tuple[float, str]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> Log:
    return []


def sleeper(clock: Clock, log: Log, name: str, *instants: float) -> Generator[Any, Any, str]:
    for at_s in instants:
        yield at_s
        log.append((clock.now, name))
    return name


def test_lives_wake_at_the_instants_they_name(clock: Clock, log: Log) -> None:
    Life(clock, sleeper(clock, log, "a", 1.0, 4.0))
    Life(clock, sleeper(clock, log, "b", 2.0, 3.0))
    clock.run()
    assert log == [(1.0, "a"), (2.0, "b"), (3.0, "b"), (4.0, "a")]


def test_ties_go_in_the_order_of_scheduling(clock: Clock, log: Log) -> None:
    for name in "abc":
        Life(clock, sleeper(clock, log, name, 1.0, 2.0, 2.0))
    clock.run()
    assert log == [(1.0, n) for n in "abc"] + [(2.0, n) for n in "abc"] + [(2.0, n) for n in "abc"]


def test_at_one_instant_urgent_events_come_before_normal_ones_scheduled_earlier(
    clock: Clock, log: Log
) -> None:
    Life(clock, sleeper(clock, log, "normal", 1.0))
    urgent = simpy.Event(clock)
    urgent._ok, urgent._value = True, None
    urgent.callbacks.append(lambda _: log.append((clock.now, "urgent")))
    clock.schedule(urgent, URGENT, 1.0)
    clock.run()
    assert log == [(1.0, "urgent"), (1.0, "normal")]


def test_what_is_due_at_the_end_of_the_run_does_not_happen(clock: Clock, log: Log) -> None:
    Life(clock, sleeper(clock, log, "a", 1.0, 2.0, 3.0))
    clock.run(2.0)
    assert log == [(1.0, "a")]
    assert clock.now == 2.0
    clock.run()
    assert log == [(1.0, "a"), (2.0, "a"), (3.0, "a")]


def test_a_life_waits_for_events_and_for_lives_and_gets_their_values(clock: Clock, log: Log) -> None:
    def parent() -> Generator[Any, Any, None]:
        told = yield clock.timeout(1.0, value="timeout")
        log.append((clock.now, told))
        child = Life(clock, sleeper(clock, log, "child", 2.0))
        told = yield child
        log.append((clock.now, told + " is over"))
        told = yield child  # it has ended already
        log.append((clock.now, told + " still is"))

    Life(clock, parent())
    clock.run()
    assert log == [(1.0, "timeout"), (2.0, "child"), (2.0, "child is over"), (2.0, "child still is")]


def test_simpys_own_processes_run_beside_lives(clock: Clock, log: Log) -> None:
    def process() -> Generator[Any, Any, None]:
        told = yield Life(clock, sleeper(clock, log, "life", 1.0))
        log.append((clock.now, f"process heard {told}"))

    clock.process(process())
    clock.run()
    assert log == [(1.0, "life"), (1.0, "process heard life")]


def broken(at_s: float) -> Generator[Any, Any, None]:
    yield at_s
    raise ValueError("broken")


def test_an_exception_that_nobody_takes_ends_the_run(clock: Clock) -> None:
    Life(clock, broken(1.0))
    with pytest.raises(ValueError, match="broken"):
        clock.run()


def test_an_exception_reaches_the_life_that_waits(clock: Clock, log: Log) -> None:
    def parent() -> Generator[Any, Any, None]:
        try:
            yield Life(clock, broken(1.0))
        except ValueError as error:
            log.append((clock.now, str(error)))
        yield 2.0
        log.append((clock.now, "goes on"))

    Life(clock, parent())
    clock.run()
    assert log == [(1.0, "broken"), (2.0, "goes on")]


def test_on_error_may_take_an_exception(clock: Clock, log: Log) -> None:
    def take(error: Exception) -> bool:
        log.append((clock.now, str(error)))
        return True

    Life(clock, broken(1.0), on_error=take)
    clock.run()
    assert log == [(1.0, "broken")]


def test_stepping_by_hand_gives_the_same_course_as_running(log: Log) -> None:
    def course(clock: Clock, log: Log) -> None:
        for number in range(5):
            Life(clock, sleeper(clock, log, str(number), *(0.1 * number + step for step in range(1, 9))))

    ran: Log = []
    clock = Clock()
    course(clock, ran)
    clock.run()
    clock = Clock()
    course(clock, log)
    while clock.peek() < float("inf"):
        clock.step()
    assert log == ran


def test_a_clock_does_not_run_until_an_event(clock: Clock) -> None:
    with pytest.raises(TypeError, match="instant"):
        clock.run(clock.timeout(1.0))


def test_an_instant_that_has_passed_is_now(clock: Clock, log: Log) -> None:
    Life(clock, sleeper(clock, log, "a", 2.0, 1.0, 3.0))
    Life(clock, sleeper(clock, log, "b", 2.5))
    clock.run()
    assert log == [(2.0, "a"), (2.0, "a"), (2.5, "b"), (3.0, "a")]
