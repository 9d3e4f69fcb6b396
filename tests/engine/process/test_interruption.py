"""Processes that can be interrupted: they wait as the plain kind does, and hear of one thing at a time."""

from __future__ import annotations

from edgesim.engine.process.clock import Clock, Life
from edgesim.engine.process.interruption import Interruptible
from edgesim.engine.process.verb import begun


class Alarm(Exception):  # noqa: N818  # it tells of something, and is no error
    pass


def heard(clock, log, steps):
    """Wait for each step in turn, and note what comes of it."""
    for step in steps:
        try:
            news = yield step
        except Alarm as alarm:
            news = str(alarm)
        log.append((clock.now, news))


def test_an_interruption_ends_a_wait_and_what_was_waited_for_is_heard_of_no_more() -> None:
    clock, log = Clock(), []
    event, lost = clock.event(), clock.event()
    life = Interruptible(clock, heard(clock, log, [10.0, 5.0, event, 6.0, lost, 9.0]))
    clock.call_at(2.0, lambda: life.interrupt(Alarm("one")))
    clock.call_at(5.5, lambda: life.interrupt(Alarm("two")))
    clock.call_at(5.7, lambda: event.succeed("late"))
    clock.call_at(7.0, lambda: life.interrupt(Alarm("three")))
    clock.call_at(8.0, lambda: lost.fail(Alarm("nobody waits for this")))
    clock.run()
    assert log == [(2.0, "one"), (5.0, None), (5.5, "two"), (6.0, None), (7.0, "three"), (9.0, None)]


def test_who_has_ended_is_not_interrupted() -> None:
    clock, log = Clock(), []
    life = Interruptible(clock, heard(clock, log, [1.0]))
    clock.call_at(2.0, lambda: life.interrupt(Alarm("late")))
    clock.run()
    assert log == [(1.0, None)]
    assert life.life.processed


def test_of_two_interruptions_at_one_instant_the_later_is_heard() -> None:
    clock, log = Clock(), []
    life = Interruptible(clock, heard(clock, log, [9.0, 5.0]))
    clock.call_at(2.0, lambda: life.interrupt(Alarm("one")))
    clock.call_at(2.0, lambda: life.interrupt(Alarm("two")))
    clock.run()
    assert log == [(2.0, "two"), (5.0, None)]
    assert clock.now == 9.0  # the shell has been there till then


def test_who_waits_for_its_end_hears_of_it_through_interruptions() -> None:
    clock, ended = Clock(), []
    life = Interruptible(clock, heard(clock, [], [9.0, 3.0]), on_end=ended.append)

    def wait():
        yield life.life
        ended.append(clock.now)

    Life(clock, wait())
    clock.call_at(2.0, lambda: life.interrupt(Alarm("now")))
    clock.run()
    assert ended == [None, 3.0]


def test_a_verb_begun_takes_its_first_step_at_once_and_hands_everything_on() -> None:
    clock, log = Clock(), []

    def verb():
        log.append("begun")
        try:
            yield 1.0
        except Alarm:
            log.append("heard")
        yield 3.0
        return "value"

    def nothing():
        return "at once"
        yield

    def course():
        going = begun(verb())
        log.append("called")
        log.append((yield from going))
        log.append((yield from begun(nothing())))

    life = Interruptible(clock, course())
    clock.call_at(0.5, lambda: life.interrupt(Alarm("now")))
    clock.run()
    assert log == ["begun", "called", "heard", "value", "at once"]
