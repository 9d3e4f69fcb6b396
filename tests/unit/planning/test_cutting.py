"""Partitions by name: all alike, whoever offers them; what a plug-in cuts is held against the task."""

from __future__ import annotations

import pytest

from edgesim import plugins
from edgesim.errors import PlacementError
from edgesim.planning.cutting import PARTITIONS, Cut, Partition, cut_by
from edgesim.testing import check_partition
from edgesim.testing.partitions import _tasks


class Half(Partition):
    """Half of the blocks, to the wrong device, or twice."""

    stages = ((0, 1),)

    def cut(self, task):
        return Cut(self.stages)


def test_every_partition_keeps_the_contract() -> None:
    found = plugins.discover(PARTITIONS)
    assert {"even", "even-fit", "mdi", "memory", "latency", "throughput"} <= set(found)
    for kind in found.values():
        check_partition(kind)


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        (((0, 1),), "places [1] blocks, 1 in total; the model has"),
        (((7, 4),), "names the devices [7]"),
        (((0, 3), (0, 1)), "names a device twice"),
        (((0, -1),), "expected numbers of 0 or more"),
    ],
)
def test_a_wrong_cut_is_named_by_the_checker_and_refused_in_a_run(monkeypatch, stages, sentence) -> None:
    kind = type("Wrong", (Half,), {"stages": stages})
    with pytest.raises(AssertionError) as told:
        check_partition(kind)
    assert sentence in str(told.value)
    monkeypatch.setattr(plugins, "load", lambda group, name: kind)
    with pytest.raises(PlacementError, match=r"partition 'wrong' .*expected .*repair its package"):
        cut_by("wrong", _tasks()["one device"])


def test_one_that_is_not_pure_or_refuses_everything_is_named() -> None:
    class Restless(Partition):
        """Another cut each time."""

        n_calls = 0

        def cut(self, task):
            Restless.n_calls += 1
            return Cut(((0, task.n_blocks),), str(self.n_calls))

    class Unwilling(Partition):
        """Never."""

        def cut(self, task):
            raise PlacementError("no")

    with pytest.raises(AssertionError, match="must be pure"):
        check_partition(Restless)
    with pytest.raises(AssertionError, match="refused every task"):
        check_partition(Unwilling)
    with pytest.raises(AssertionError, match=r"not a subclass of edgesim\.Partition"):
        check_partition(int)


def test_a_cut_that_is_none_is_refused(monkeypatch) -> None:
    kind = type("Bare", (Half,), {"cut": lambda self, task: [1, 2]})
    monkeypatch.setattr(plugins, "load", lambda group, name: kind)
    with pytest.raises(PlacementError, match=r"returned \[1, 2\]; expected an edgesim.Cut"):
        cut_by("bare", _tasks()["two devices alike"])
