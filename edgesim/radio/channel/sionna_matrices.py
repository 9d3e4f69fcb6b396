"""Channel matrices of 3GPP TR 38.901's clusters and rays, made by Sionna where it is installed.

Sionna (`pip install edgesim[sionna]`) is imported when a matrix is asked for, and at no other time: no
scenario needs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.nearest import suggest

__all__ = ["Tr38901Matrices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tr38901Matrices:
    """Narrowband matrices from terminal to station, with the geometry of their arrays.

    Steps 4 to 11 of TR 38.901, section 7.5, in Sionna's implementation: clusters, rays and their Doppler
    shifts; the matrix is the sum over paths at the carrier. Path loss and shadowing are left out (they are in
    :mod:`edgesim.radio.channel.path_loss.environments`), so an entry has mean power 1 over links. Arrays are
    uniform and linear, horizontal, half a wavelength apart, of vertically polarised, omnidirectional
    elements.

    Not modelled: frequency selectivity; spatial consistency of the clusters between two links.

    Parameters
    ----------
    key
        Which link this is: from :func:`edgesim.rng.link_key`.
    environment
        ``umi``, ``uma`` or ``inh``.
    carrier_hz
        Carrier frequency.
    n_receive, n_transmit
        Antennas of the station and of the terminal.
    station_m, terminal_m
        Where they are: x, y, height.
    is_los
        Whether they are in line of sight.
    velocity_m_per_s
        The terminal's velocity along x, y and z.
    """

    key: int
    environment: str
    carrier_hz: float
    n_receive: int
    n_transmit: int
    station_m: tuple[float, float, float]
    terminal_m: tuple[float, float, float]
    is_los: bool
    velocity_m_per_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ENVIRONMENTS: ClassVar[tuple[str, ...]] = ("umi", "uma", "inh")

    def __post_init__(self) -> None:
        if self.environment not in self.ENVIRONMENTS:
            raise InputError(
                f"mimo: environment is {self.environment!r}; expected one of {', '.join(self.ENVIRONMENTS)}: "
                f"{suggest(self.environment, self.ENVIRONMENTS)}"
            )

    def matrices(self, n_times: int, step_s: float) -> NDArray[np.complex128]:
        """Matrices at so many instants from time zero on, a step apart: (n_times, n_receive, n_transmit).

        The same arguments always give the same matrices. Sionna draws from generators of its own, which are
        set from the key here, and torch's global generator with them.

        Raises
        ------
        InputError
            If Sionna is not installed.
        """
        try:
            from sionna.phy import config
            from sionna.phy.channel import tr38901
        except ImportError as error:
            raise InputError(
                "mimo: matrices of TR 38.901 are made by Sionna, which is not installed: "
                "pip install 'edgesim[sionna]', or ask for i.i.d. Rician matrices"
            ) from error
        config.seed = self.key
        device: dict[str, Any] = {"precision": "double", "device": "cpu"}
        arrays = [self._array(tr38901, n, device) for n in (self.n_transmit, self.n_receive)]
        shared = {
            **device,
            "carrier_frequency": self.carrier_hz,
            "ut_array": arrays[0],
            "bs_array": arrays[1],
            "direction": "uplink",
            "enable_pathloss": False,
            "enable_shadow_fading": False,
        }
        if self.environment == "inh":
            channel = tr38901.InH(**shared)
        else:
            model = tr38901.UMi if self.environment == "umi" else tr38901.UMa
            channel = model(o2i_model="low", **shared)
        channel.set_topology(
            ut_loc=_row(self.terminal_m),
            bs_loc=_row(self.station_m),
            ut_orientations=_row((0.0, 0.0, 0.0)),
            bs_orientations=_row((0.0, 0.0, 0.0)),
            ut_velocities=_row(self.velocity_m_per_s),
            in_state=np.full((1, 1), self.environment == "inh"),
            los=self.is_los,
        )
        paths, delays_s = channel(n_times, 1.0 / step_s)
        # [time, receive, transmit, path] from [1, 1, receive, 1, transmit, path, time]
        gains = np.moveaxis(paths.numpy()[0, 0, :, 0], -1, 0)
        turned = np.exp(-2j * math.pi * self.carrier_hz * delays_s.numpy()[0, 0, 0])
        entries: NDArray[np.complex128] = (gains * turned).sum(axis=-1)
        return entries

    def _array(self, tr38901: Any, n_antennas: int, device: dict[str, Any]) -> Any:
        return tr38901.PanelArray(
            num_rows_per_panel=1,
            num_cols_per_panel=n_antennas,
            polarization="single",
            polarization_type="V",
            antenna_pattern="omni",
            carrier_frequency=self.carrier_hz,
            **device,
        )


def _row(vector: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(vector, dtype=np.float64).reshape(1, 1, 3)
