"""Remarks on points that a figure leaves out because they are unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgesim.report.listings.listing import Listed

__all__ = ["not_drawn"]

_MOST = 6


def not_drawn(
    rows: Sequence[Listed], panels: Iterable[Sequence[str]], *, against: str | None = None
) -> list[str]:
    """List the rows without a point, panel by panel, and the reasons.

    Parameters
    ----------
    panels
        Metrics that a point of each panel needs.
    against
        A reference strategy, which must also be known at the same place.
    """
    asked = list(dict.fromkeys(tuple(names) for names in panels))
    references = {_place(row): row for row in rows if row.strategy == against}
    by_cause: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for names in asked:
        by_reason: dict[str, list[str]] = {}
        for row in rows:
            needed = [row, references[_place(row)]] if _place(row) in references else [row]
            lacking = [one for one in needed if any(one.estimates.get(name) is None for name in names)]
            if lacking:
                is_open = any(one.counts.get("failed", 0) + one.counts.get("censored", 0) for one in lacking)
                reason = "requests without a known end" if is_open else "undefined there"
                by_reason.setdefault(reason, []).append(_named(row, rows))
        for reason, labels in by_reason.items():
            by_cause.setdefault((reason, tuple(labels)), []).append(" against ".join(reversed(names)))
    found = []
    for (reason, places), titles in by_cause.items():
        title = f"{', '.join(titles)}: " if len(titles) < len(asked) else ""
        more = f" and {len(places) - _MOST} more" if len(places) > _MOST else ""
        found.append(f"{title}unknown and not drawn: {', '.join(places[:_MOST])}{more} ({reason})")
    return found


def _place(row: Listed) -> tuple[object, ...]:
    return tuple(row.where.values())


def _named(row: Listed, rows: Sequence[Listed]) -> str:
    """Name a row by its strategy and those of its values that differ between rows."""
    where: Mapping[str, object] = row.where
    stated = [str(value) for key, value in where.items() if any(other.where[key] != value for other in rows)]
    return f"{row.strategy} at {', '.join(stated)}" if stated else row.strategy
