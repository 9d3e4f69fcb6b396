"""Command that lists the names used in scenarios, commands and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer
from rich.table import Table

from edgesim.cli import names
from edgesim.cli.terminal import console, plain_table
from edgesim.errors import InputError
from edgesim.nearest import nearest

__all__ = ["LISTINGS", "list_"]


def _known(incomplete: str) -> list[str]:
    return [name for name in LISTINGS if name.startswith(incomplete)]


def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[NAMES]",
            help="What to list; strategies if not given. 'names' shows all possible listings.",
            autocompletion=_known,
        ),
    ] = "strategies",
) -> None:
    """List names used in scenarios, commands and results."""
    if what not in LISTINGS:
        raise InputError(f"edgesim list: {what!r} is not known; {_near(what)}expected {', '.join(LISTINGS)}")
    console().print(LISTINGS[what]())


def _near(what: str) -> str:
    near = nearest(what, LISTINGS)
    return f"did you mean '{near}'? " if near else ""


def _names() -> Table:
    """All listings."""
    table = plain_table("edgesim list ...", "what it lists")
    for name, make in LISTINGS.items():
        table.add_row(name, (make.__doc__ or "").rstrip(".\n "))
    return table


def _strategies() -> Table:
    """Installed strategies, with the names of their options."""
    from edgesim.strategy import discover_all

    table = plain_table("strategy", "options", "from", "what it does")
    for name, found in discover_all().items():
        if isinstance(found, InputError):
            table.add_row(name, "–", "–", f"cannot be loaded: {found}", style="red")
            continue
        summary = (found.__doc__ or "").strip().partition("\n")[0]
        table.add_row(name, ", ".join(found.model_fields) or "–", found.__module__.partition(".")[0], summary)
    return table


def _devices() -> Table:
    """Device kinds of the catalogue."""
    from edgesim.scenario.catalogue import device_kinds
    from edgesim.scenario.catalogue.sources import listed

    table = plain_table("device", "memory", "bandwidth", "float16", "what it is")
    for name, kind in listed(device_kinds()):
        if isinstance(kind, InputError):
            table.add_row(name, *["–"] * 3, f"cannot be read: {kind}", style="red")
            continue
        rate = kind.ceilings("float16")
        table.add_row(
            name,
            f"{kind.memory_bytes.value / 2**30:.0f} GiB",
            "as measured" if kind.bytes_per_s is None else f"{kind.bytes_per_s.value / 1e9:.0f} GB/s",
            "as measured" if rate is None else f"{rate.flop_per_s / 1e12:.2f} TFLOP/s",
            kind.description,
        )
    return table


def _catalogues() -> Table:
    """Installed catalogues: edgesim's own, and those of other packages."""
    from edgesim.plugins import discover_all
    from edgesim.scenario.catalogue.sources import CATALOGUES

    table = plain_table("catalogue", "package", "devices", "models", "radios", "runtimes")
    for name, found in discover_all(CATALOGUES).items():
        if isinstance(found, InputError):
            table.add_row(name, f"cannot be loaded: {found}", *["–"] * 4, style="red")
            continue
        parts = (found.devices, found.models, found.radios, found.runtimes)
        table.add_row(name, found.package, *(part or "–" for part in parts))
    return table


def _runtimes() -> Table:
    """Runtimes of the catalogue: inference engines that run models on devices."""
    from edgesim.scenario.catalogue import runtimes
    from edgesim.scenario.catalogue.sources import listed

    table = plain_table("runtime", "what it is", "source of its shares of peak rates")
    for name, kind in listed(runtimes()):
        if isinstance(kind, InputError):
            table.add_row(name, *["–"] * 1, f"cannot be read: {kind}", style="red")
            continue
        table.add_row(name, kind.description, kind.source)
    return table


def _models() -> Table:
    """Models of the catalogue."""
    from edgesim.scenario.catalogue import models
    from edgesim.scenario.catalogue.sources import listed

    table = plain_table("model", "parameters", "blocks", "hidden", "KV cache per token", "family")
    for name, kind in listed(models()):
        if isinstance(kind, InputError):
            table.add_row(name, *["–"] * 4, f"cannot be read: {kind}", style="red")
            continue
        model = kind.architecture("float16")
        table.add_row(
            name,
            f"{model.n_parameters / 1e6:,.0f} M",
            str(model.n_blocks),
            str(model.hidden_size),
            f"{model.kv_bytes_per_token(model.n_blocks) / 1024:.0f} KiB (float16)"
            if model.is_causal
            else "–",
            model.family,
        )
    return table


def _profiles() -> Table:
    """Measured profiles shipped with edgesim."""
    from edgesim.model.shipped import shipped_profiles

    table = plain_table(
        "profile", "measured on", "threads", "prompt", "context", "batches", "shards", "p95", "on"
    )
    for name, one in shipped_profiles().items():
        table.add_row(
            name,
            f"{one.kind} ({one.measured_on})" if one.kind else one.measured_on,
            str(one.threads),
            str(one.max_prompt),
            str(one.max_context),
            _and(one.batches),
            _and(one.shards),
            f"{one.p95_error:.1%}",
            one.measured_at[:10],
        )
    return table


def _policies() -> Table:
    """Trained policies shipped with edgesim."""
    from edgesim.planning.policies.shipped import shipped_policies
    from edgesim.planning.splitting.policy import Policy
    from edgesim.report.policy import policy_row

    table = plain_table("policy", "trained in", "training method", "observes", "actions", "value")
    for name, file in shipped_policies().items():
        table.add_row(name, *policy_row(Policy.load(file)))
    return table


def _and(counts: tuple[int, ...]) -> str:
    return ", ".join(map(str, counts)) or "–"


def _radios() -> Table:
    """Radios of the catalogue."""
    from edgesim.scenario.catalogue import radio_kinds
    from edgesim.scenario.catalogue.sources import listed

    table = plain_table(
        "radio", "carrier", "bandwidth", "duplex", "access", "power up/down", "propagation", "what it is"
    )
    for name, kind in listed(radio_kinds()):
        if isinstance(kind, InputError):
            table.add_row(name, *["–"] * 6, f"cannot be read: {kind}", style="red")
            continue
        table.add_row(
            name,
            f"{kind.carrier_hz.value / 1e9:g} GHz",
            f"{kind.bandwidth_hz.value / 1e6:g} MHz",
            kind.duplex if kind.tdd is None else kind.tdd.value,
            kind.access,
            f"{kind.terminal.power_dbm.value:g}/{kind.station.power_dbm.value:g} dBm",
            kind.propagation.model,
            kind.description,
        )
    return table


def _scenarios() -> Table:
    """Scenarios shipped with edgesim."""
    from edgesim.scenario.load import load
    from edgesim.scenario.text.packaged import packaged_scenarios

    table = plain_table("scenario", "question")
    for name in packaged_scenarios():
        table.add_row(name, load(name).description)
    return table


def _table_of(make: Callable[[], names.Rows], about: str) -> Callable[[], Table]:
    """Return a function that builds a table from rows, the first of which contains the headings."""

    def listing() -> Table:
        headings, *rows = make()
        table = plain_table(*headings)
        for row in rows:
            table.add_row(*row)
        return table

    listing.__doc__ = about
    return listing


LISTINGS: Mapping[str, Callable[[], Table]] = MappingProxyType(
    {
        "strategies": _strategies,
        "catalogues": _catalogues,
        "devices": _devices,
        "models": _models,
        "policies": _policies,
        "profiles": _profiles,
        "radios": _radios,
        "runtimes": _runtimes,
        "scenarios": _scenarios,
        **{name: _table_of(make, about) for name, (make, about) in names.ROWS.items()},
        "names": _names,
    }
)
"""Listings by name, in the order of the help."""
