"""Reports of a trained policy: its scenario, observations, actions, training and gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from edgesim.planning.splitting.policy import Policy

__all__ = ["PolicyReport", "policy_as_json", "policy_row"]


class PolicyReport:
    """A rich renderable: a table of names and values; control characters in a file's texts are replaced."""

    def __init__(self, policy: Policy, title: str) -> None:
        self._policy, self._title = policy, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the title and the table."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        yield Text(_plain(self._title), style="bold")
        for name, value in _rows(self._policy):
            table.add_row(Text(name), Text(_plain(value)))
        yield table


def policy_as_json(policy: Policy) -> Mapping[str, Any]:
    """Return the policy's record, its observations with their ranges, and the layout of its network."""
    encoding = policy.encoding
    return {
        **vars(policy.record),
        "observations": [
            {"name": name, "low": low, "high": high, "knots": knots}
            for name, low, high, knots in zip(
                _names(policy), encoding.low.tolist(), encoding.high.tolist(), encoding.knots, strict=True
            )
        ],
        "n_actions": policy.n_actions,
        "layers": [list(weight.shape) for weight, _ in policy.layers],
        "activation": policy.activation,
        "scores": policy.scores,
    }


def policy_row(policy: Policy) -> tuple[str, ...]:
    """Return one row for a list: scenario and strategy, algorithm, observations, actions, gain."""
    record, origin = policy.record, _origin(policy)
    return tuple(
        _plain(text)
        for text in (
            f"{origin.get('scenario', '?')}: {_strategy(origin)}",
            f"{record.algorithm or '?'}, {record.n_steps:,} steps",
            ", ".join(_names(policy)),
            _actions(policy),
            _gain(origin.get("evaluation")) or "–",
        )
    )


def _rows(policy: Policy) -> Iterator[tuple[str, str]]:
    record, origin = policy.record, _origin(policy)
    encoding = policy.encoding
    if origin:
        yield "trained in", f"{origin.get('scenario', '?')}, strategy {_strategy(origin)}"
        yield "decides", str(origin.get("decision", "?"))
    if record.trained_on:
        yield "digest", record.trained_on
    yield (
        "trained with",
        f"{record.algorithm or '?'} ({record.preset or '?'}), {record.n_steps:,} steps, seed {record.seed}",
    )
    ranges = zip(_names(policy), encoding.low, encoding.high, strict=True)
    yield "observations", ", ".join(f"{name} ({low:g} to {high:g})" for name, low, high in ranges)
    yield "actions", _actions(policy)
    shapes = [policy.encoding.n_inputs, *(len(bias) for _, bias in policy.layers)]
    yield "network", f"{' – '.join(map(str, shapes))}, {policy.activation}, {policy.scores}"
    utility = origin.get("utility")
    if isinstance(utility, Mapping):
        yield "utility", ", ".join(f"{name} {value}" for name, value in utility.items() if value)
    curve = origin.get("curve")
    if isinstance(curve, Sequence) and len(curve) > 1 and all(_is_pair(point) for point in curve):
        shown = [curve[0], curve[len(curve) // 2], curve[-1]]
        yield "return", ", ".join(f"{value:.4g} after {steps:,.0f} steps" for steps, value in shown)
    gain = _gain(origin.get("evaluation"))
    if gain:
        yield "gain", gain
    if origin.get("command"):
        yield "command", str(origin["command"])
    if origin.get("renewed"):
        yield "renewed", str(origin["renewed"])
    versions = origin.get("versions")
    if isinstance(versions, Mapping):
        yield "versions", ", ".join(f"{name} {value}" for name, value in versions.items())


def _origin(policy: Policy) -> Mapping[str, Any]:
    origin = policy.record.more.get("provenance")
    return origin if isinstance(origin, Mapping) else {}


def _strategy(origin: Mapping[str, Any]) -> str:
    stated = origin.get("strategy")
    return f"{stated.get('label')} ({stated.get('use')})" if isinstance(stated, Mapping) else "?"


def _names(policy: Policy) -> Sequence[str]:
    return policy.record.observations or [f"number {place}" for place in range(policy.n_seen)]


def _actions(policy: Policy) -> str:
    splits = policy.record.more.get("splits")
    many = f"{policy.n_actions} {policy.record.actions}"
    return f"{many}, of splits {', '.join(map(str, splits))}" if isinstance(splits, list) else many


def _gain(evaluation: Any) -> str:
    if not isinstance(evaluation, Mapping):
        return ""
    gain: Any = evaluation.get("gain_over_best_constant")
    interval: Any = evaluation.get("gain_interval_95")
    if not isinstance(gain, float):
        return ""
    within = f" ({interval[0]:+.4f} to {interval[1]:+.4f})" if _is_pair(interval) else ""
    rivals, best = evaluation.get("rivals", "constant actions"), evaluation.get("best_constant", "?")
    return (
        f"{gain:+.4f}{within} a request over the best of {rivals} in hindsight ({best}), "
        f"{evaluation.get('replications')} replications"
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, int | float) for one in value)


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
