"""Conformance test for catalogues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.scenario.catalogue import KINDS
from edgesim.scenario.catalogue.sources import CATALOGUES, Catalogue, Entries
from edgesim.scenario.schema.device_kinds import Figure

__all__ = ["check_catalogue"]


def check_catalogue(catalogue: Catalogue) -> None:
    """Check that a catalogue satisfies its contract: entries are valid, and every figure states its source.

    Its files must be in its package and contain at least one entry, and no name may be one of edgesim's own.

    Raises
    ------
    AssertionError
        With a sentence that states the violation and its entry.
    """
    assert isinstance(catalogue, Catalogue), f"{catalogue!r} is not an object of {CATALOGUES.known_as}"
    own = {name: plugins.load(CATALOGUES, name) for name in plugins.own_names(CATALOGUES)}
    n_entries = 0
    try:
        if CATALOGUES.check is not None:
            CATALOGUES.check(catalogue)
        for part, kind in KINDS.items():
            taken = {name for one in own.values() for name in one.texts(part)}
            entries = Entries(part, kind, {"checked": catalogue})
            assert not entries.broken, f"{part}: {entries.broken[0]}"
            for name, entry in entries.items():
                n_entries += 1
                assert name not in taken, f"{part}: '{name}' is the name of one of edgesim's own; rename it"
                for place in _without_source(entry, name):
                    raise AssertionError(f"{part}: {place} states no source; state the figure's source")
    except InputError as error:
        raise AssertionError(str(error)) from None
    assert n_entries, f"{catalogue!r} has no entries"


def _without_source(value: Any, place: str) -> Iterator[str]:
    """Yield the paths of figures without a source."""
    if isinstance(value, Figure):
        if not value.source.strip():
            yield place
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _without_source(getattr(value, name), f"{place}.{field.alias or name}")
