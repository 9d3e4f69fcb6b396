"""Propagation environments by name: path loss, line-of-sight probability and shadowing parameters.

The 3GPP models are those of TR 38.901: path loss and shadowing's standard deviation from table 7.4.1-1,
line of sight from table 7.4.2-1, correlation distances and K-factors from table 7.5-6, the correlation
distance of the line-of-sight state from table 7.6.3.1-2. The standard deviations apply at every frequency.
The single value that the report allows below 6 GHz, for continuity with older models (7 dB in the urban
ones), is not used: it would raise the deviation of links in line of sight by 3 dB.

Distances are horizontal ("2D"); the models add the difference in height. A distance below a model's
shortest counts as the shortest; beyond the longest (``VALID``) the formula is extrapolated. A value may be
a float or an array.

Not modelled: rural environments; environment heights other than 1 m in the urban macro cell (the report
draws one at random for terminals above 13 m).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edgesim.radio.channel.path_loss.environment import PathLoss
from edgesim.radio.channel.path_loss.indoor import IndoorFactory, IndoorOffice
from edgesim.radio.channel.path_loss.open_space import FreeSpace, LogDistance
from edgesim.radio.channel.path_loss.urban import UrbanMacro, UrbanMicro

__all__ = [
    "PATH_LOSSES",
    "FreeSpace",
    "IndoorFactory",
    "IndoorOffice",
    "LogDistance",
    "PathLoss",
    "UrbanMacro",
    "UrbanMicro",
]

PATH_LOSSES: Mapping[str, Callable[..., PathLoss]] = MappingProxyType(
    {
        "free-space": FreeSpace,
        "log-distance": LogDistance,
        "3gpp-umi": UrbanMicro,
        "3gpp-uma": UrbanMacro,
        "3gpp-inh": IndoorOffice,
        "3gpp-inf": IndoorFactory,
    }
)
"""Environments by their names in scenarios."""
