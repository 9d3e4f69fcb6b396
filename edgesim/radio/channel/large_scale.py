"""Large-scale channel state, which changes with position: distance, line of sight, path loss and shadowing.

A moving terminal's state is evaluated on a grid of instants, by default every tenth of a second. At walking
speed the terminal moves 14 cm in that time, at 30 m/s three metres. Shadowing has correlation distances of
ten metres and more.

Not modelled: antenna patterns and tilt (an antenna's gain is the same in all directions), polarisation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.channel.path_loss.environment import PathLoss
from edgesim.radio.channel.shadowing import LosField, ShadowField
from edgesim.radio.motion.mobility import Track
from edgesim.rng import key_of

__all__ = ["LargeScale", "Loss"]

STEP_S = 0.1


class Loss(NamedTuple):
    """Large-scale state of a link at an instant."""

    distance_m: float
    """Horizontal distance between the two ends."""
    is_los: bool
    path_loss_db: float
    """Median loss of the environment, including additional losses (walls)."""
    shadowing_db: float
    """Shadowing, which is added to the loss; may be negative."""
    until_s: float
    """Instant until which this state is valid; infinite if nothing moves."""

    @property
    def total_db(self) -> float:
        """Sum of path loss and shadowing."""
        return self.path_loss_db + self.shadowing_db


class LargeScale:
    """Path loss and shadowing between two ends as a pure function of time.

    Parameters
    ----------
    environment
        Model of path loss, line of sight and shadowing.
    terminal, station
        Positions of the two ends over time.
    terminal_height_m, station_height_m
        Heights of their antennas.
    key
        Key of the link (:func:`edgesim.rng.link_key`). With one key per station, neighbouring terminals have
        the same shadowing. None: no shadowing, and the more likely line-of-sight state.
    is_los
        Line of sight always (True), never (False), or by the environment's probability (None).
    indoor
        Whether the terminal is inside a building and the station outside, which changes the shadowing.
    extra_loss_db
        Losses in addition to the environment's, such as a wall's.
    step_s
        Interval of the grid of instants at which the state of a moving end is evaluated.
    """

    def __init__(
        self,
        environment: PathLoss,
        terminal: Track,
        station: Track,
        *,
        carrier_hz: float,
        terminal_height_m: float = 1.5,
        station_height_m: float = 10.0,
        key: int | None = None,
        is_los: bool | None = None,
        indoor: bool = False,
        extra_loss_db: float = 0.0,
        step_s: float = STEP_S,
    ) -> None:
        if not step_s > 0:
            raise InputError(f"radio: step_s is {step_s:g} s; expected a time above 0: correct it")
        self.environment = environment
        self.terminal, self.station = terminal, station
        self.carrier_hz = carrier_hz
        self.terminal_height_m, self.station_height_m = terminal_height_m, station_height_m
        self.extra_loss_db = extra_loss_db
        self.step_s = step_s if terminal.moves or station.moves else math.inf
        self._is_los = is_los
        self._los_field: LosField | None = None
        self._shadows: dict[bool, ShadowField] = {}
        if key is not None:
            correlation_m = environment.los_correlation_m
            self._los_field = (
                None if math.isinf(correlation_m) else LosField(key_of(key, "los"), correlation_m)
            )
            for state in (True, False):
                self._shadows[state] = ShadowField(
                    key_of(key, "shadowing", int(state)),
                    environment.shadowing_db(state, indoor=indoor),
                    environment.correlation_m(state, indoor=indoor),
                )
        self._kept: Loss | None = None
        self._kept_from_s = math.inf

    @property
    def is_los(self) -> bool | None:
        """Line of sight always (True), never (False), or by the environment's probability (None)."""
        return self._is_los

    @property
    def changes_sight(self) -> bool:
        """Whether the line-of-sight state may change."""
        return self._is_los is None and not math.isinf(self.step_s)

    def at(self, at_s: float) -> Loss:
        """Return the state at an instant."""
        kept = self._kept
        if kept is not None and self._kept_from_s <= at_s < kept.until_s:
            return kept
        if math.isinf(self.step_s):
            from_s, until_s = 0.0, math.inf
        else:
            step = self._step(at_s)
            from_s, until_s = step * self.step_s, (step + 1) * self.step_s
        self._kept_from_s = from_s
        self._kept = kept = self._evaluated(from_s, until_s)
        return kept

    def total_db(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return path loss and shadowing at several instants, which handover measures [dB].

        Equal to :meth:`at` for each instant, up to rounding, at a tenth of its cost.
        """
        if math.isinf(self.step_s) or self.station.moves:
            return np.array([self.at(float(at_s)).total_db for at_s in times_s])
        began = (times_s / self.step_s).astype(np.int64)
        began -= began * self.step_s > times_s
        began += (began + 1) * self.step_s <= times_s
        steps, place = np.unique(began, return_inverse=True)
        to_x_m, to_y_m = self.station.position(0.0)
        places = np.array([self.terminal.position(step * self.step_s) for step in steps.tolist()])
        x_m, y_m = places[:, 0], places[:, 1]
        distance_m = np.hypot(x_m - to_x_m, y_m - to_y_m)
        is_los = self._see(distance_m, x_m, y_m)
        total_db = self.extra_loss_db + self.environment.path_loss_db(
            distance_m,
            carrier_hz=self.carrier_hz,
            station_height_m=self.station_height_m,
            terminal_height_m=self.terminal_height_m,
            is_los=is_los,
        )
        for state, shadow in self._shadows.items():
            there = is_los == state
            if there.any():
                total_db[there] += shadow.at(x_m[there], y_m[there])
        whole: NDArray[np.float64] = total_db[place]
        return whole

    def _step(self, at_s: float) -> int:
        """Return the number of the step that contains an instant; step i begins exactly at i * step_s."""
        step = int(at_s / self.step_s)
        if step * self.step_s > at_s:
            return step - 1
        return step + 1 if (step + 1) * self.step_s <= at_s else step

    def _evaluated(self, at_s: float, until_s: float) -> Loss:
        x_m, y_m = self.terminal.position(at_s)
        to_x_m, to_y_m = self.station.position(at_s)
        distance_m = math.hypot(x_m - to_x_m, y_m - to_y_m)
        # The key alone identifies the field of a fixed station. A moving station's field also depends on
        # its place.
        other = (to_x_m, to_y_m) if self.station.moves else (0.0, 0.0)
        is_los = self._sees(distance_m, x_m, y_m, other)
        path_loss_db = self.environment.path_loss_db(
            distance_m,
            carrier_hz=self.carrier_hz,
            station_height_m=self.station_height_m,
            terminal_height_m=self.terminal_height_m,
            is_los=is_los,
        )
        shadow = self._shadows.get(is_los)
        shadowing_db = 0.0 if shadow is None else float(shadow.at(x_m, y_m, *other))
        return Loss(distance_m, is_los, float(path_loss_db) + self.extra_loss_db, shadowing_db, until_s)

    def _see(
        self, distance_m: NDArray[np.float64], x_m: NDArray[np.float64], y_m: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return the line-of-sight state at several places, for a station at rest."""
        if self._is_los is not None:
            return np.full(len(distance_m), self._is_los)
        probability = np.broadcast_to(
            self.environment.los_probability(
                distance_m,
                station_height_m=self.station_height_m,
                terminal_height_m=self.terminal_height_m,
            ),
            distance_m.shape,
        )
        if self._los_field is None:
            return np.asarray(probability >= 0.5)
        return self._los_field.are_los(x_m, y_m, probability)

    def _sees(self, distance_m: float, x_m: float, y_m: float, other: tuple[float, float]) -> bool:
        if self._is_los is not None:
            return self._is_los
        probability = self.environment.los_probability(
            distance_m, station_height_m=self.station_height_m, terminal_height_m=self.terminal_height_m
        )
        if self._los_field is None:
            return probability >= 0.5
        return self._los_field.is_los(x_m, y_m, probability, *other)
