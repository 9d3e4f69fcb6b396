"""What is swept, from texts and mappings to cells."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.sweep.axes import (
    axes_of,
    cases_axis,
    cases_of,
    grid,
    labels_of,
    split_number,
    split_values,
    values_of,
)


def made(swept):
    return axes_of(swept, labels_of(list(swept)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1 Hz,2 Hz", ["1 Hz", "2 Hz"]),
        ("[a, b],[c]", ["[a, b]", "[c]"]),
        (
            "{poisson: 1 Hz}, {gamma: {rate: 1 Hz, burstiness: 2}}",
            ["{poisson: 1 Hz}", "{gamma: {rate: 1 Hz, burstiness: 2}}"],
        ),
        ("'a, b',\"c,d\"", ["'a, b'", '"c,d"']),
        ("1", ["1"]),
        ("1,", ["1", ""]),
        ("a],b", ["a]", "b"]),
    ],
)
def test_values_are_split_outside_of_brackets_and_quotes(text: str, parts: list[str]) -> None:
    assert split_values(text) == parts


def test_labels_are_the_shortest_ends_that_differ() -> None:
    assert labels_of(["workload.arrivals.poisson", "topology.devices.camera.count"]) == {
        "workload.arrivals.poisson": "poisson",
        "topology.devices.camera.count": "count",
    }
    assert labels_of(["a.x.count", "b.x.count", "strategies[1].to"]) == {
        "a.x.count": "a.x.count",
        "b.x.count": "b.x.count",
        "strategies[1].to": "to",
    }
    assert labels_of(["strategies[0]", "workload.strategy"]) == {
        "strategies[0]": "strategies.0",
        "workload.strategy": "workload.strategy",
    }


def test_a_grid_has_every_value_with_every_other_the_last_axis_fastest() -> None:
    cells = grid(made({"a.rate": [1, 2], "b.size": ["x", "y", "z"]}))
    assert [cell.number for cell in cells] == list(range(6))
    assert [cell.values for cell in cells] == [(a, b) for a in (1, 2) for b in "xyz"]
    assert cells[4].overrides == ("a.rate=2", "b.size=y")


def test_zipped_axes_go_in_step_and_cases_are_an_axis() -> None:
    cells = grid(made({"a": [1, 2], "b": ["x", "y"]}), zipped=True)
    assert [cell.values for cell in cells] == [(1, "x"), (2, "y")]
    with pytest.raises(InputError, match="the same number of values on every axis, got: a has 2, b has 1"):
        grid(made({"a": [1, 2], "b": ["x"]}), zipped=True)
    cases = cases_axis(cases_of(["few: a=1; b={x: 1, y: 2}", "many:a=[1;2]"]))
    assert cases.changes == (("a=1", "b={x: 1, y: 2}"), ("a=[1;2]",))
    assert [cell.values for cell in grid([cases])] == [("few",), ("many",)]
    assert [cell.overrides for cell in grid([])] == [()]


def test_values_are_numbers_where_all_are_and_their_overrides_are_yaml() -> None:
    numbers, mixed, texts, nested = made(
        {"a": ["1", "2.5"], "b": [1, "x"], "c": ["1 Hz", "2 Hz"], "d": [{"poisson": "1 Hz"}, None]}
    )
    assert numbers.values == (1.0, 2.5)
    assert [type(value) for value in numbers.values] == [float, float]
    assert mixed.values == ("1", "x")
    assert texts.values == ("1 Hz", "2 Hz")
    assert nested.changes == (('d={"poisson": "1 Hz"}',), ("d=null",))
    assert made({"e": np.array([1, 2])})[0].changes == (("e=1",), ("e=2",))


def test_quantities_are_split_into_number_and_unit() -> None:
    assert split_number("0.5 Hz") == (0.5, "Hz")
    assert split_number("1e3kbit/s") == (1000.0, "kbit/s")
    assert split_number(3) == (3.0, "")
    assert split_number("even") is None
    assert split_number(True) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: values_of(["a"]), "expected path=value,value"),
        (lambda: values_of(["a=1,,2"]), "expected path=value,value"),
        (lambda: values_of(["a=1", "a=2"]), "a is set twice"),
        (lambda: made({"a": [1, 1]}), "the value 1 is given twice"),
        (lambda: made({"a": []}), "expected values to sweep over, got none"),
        (lambda: made({"a": [object()]}), "expected numbers, texts, lists or mappings"),
        (lambda: cases_of(["x"]), "expected a name and changes"),
        (lambda: cases_of(["x: a=1", "x: a=2"]), "there is a case 'x' already"),
        (lambda: grid(made({"a": list(range(1000)), "b": list(range(1000))})), "more than 100,000 cells"),
    ],
)
def test_what_is_no_axis_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
