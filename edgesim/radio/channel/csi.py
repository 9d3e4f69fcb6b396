"""Channel state information: a transmitter's estimate of the fading, with an error and a delay.

The transmitter chooses its rate from the estimate; the true gain decides the errors. The estimate of an
amplitude h is sqrt(1 - eps^2) h + eps e with e ~ CN(0, 1), which has the same mean power. With a feedback
delay it is an estimate of the earlier amplitude. Both are functions of (key, time), so the estimate used
for a message does not depend on other messages.

Not modelled: pilots and their cost, quantised feedback, prediction, errors that depend on the SNR, and a
transmitter that knows the quality of its estimate (the outer loop's back-off stands in for that).
"""

from __future__ import annotations

import math
import struct

from edgesim.errors import InputError
from edgesim.radio.channel.fading import Fading
from edgesim.rng import key_of, keyed_uniform

__all__ = ["ImperfectCsi", "amplitude_correlation", "delay_correlation"]


def delay_correlation(doppler_hz: float, delay_s: float) -> float:
    """Return a Rayleigh amplitude's correlation with its past: J0(2 pi Doppler delay) (Clarke's spectrum)."""
    from scipy.special import j0  # a quarter of a second to import

    return float(j0(2.0 * math.pi * doppler_hz * delay_s))


def amplitude_correlation(error: float, doppler_hz: float = 0.0, delay_s: float = 0.0) -> float:
    """Return the correlation of a Rayleigh amplitude with its estimate: sqrt(1 - eps^2) J0(2 pi f_D delay).

    f_D is the largest Doppler shift. The correlation of the power gains is the square of this one.
    """
    return math.sqrt(1.0 - error * error) * delay_correlation(doppler_hz, delay_s)


class ImperfectCsi:
    """Estimates of a link's power gain; implements :class:`edgesim.radio.radio_link.Estimation`.

    The delayed gain is that of the link's own fading process at the earlier instant, not a separate draw
    correlated with it. The correlation over the delay is therefore that of the process. The error's phase is
    uniform, so the phase of the channel, which is not known here, has no effect.

    Parameters
    ----------
    fading
        The true gain.
    key
        Key of the link's estimates, from :func:`edgesim.rng.link_key`; different from the fading's.
    error
        eps, from 0 (perfect) to 1 (an estimate independent of the channel).
    delay_s
        Age of the estimated gain when the estimate comes into force.
    period_s
        Time between estimates, taken at its multiples; None: a new estimate whenever the true gain changes.
        A gain that never changes is then estimated once, with one constant error.
    """

    __slots__ = ("_amplitude_key", "_phase_key", "_weight", "delay_s", "error", "fading", "period_s")

    def __init__(
        self,
        fading: Fading,
        key: int,
        *,
        error: float = 0.0,
        delay_s: float = 0.0,
        period_s: float | None = None,
    ) -> None:
        if not 0.0 <= error <= 1.0:
            raise InputError(
                f"csi: error is {error:g}; expected 0 (a perfect estimate) to 1 (none at all): correct it"
            )
        if not 0.0 <= delay_s < math.inf:
            raise InputError(f"csi: delay is {delay_s:g} s; expected 0 or more, and finite: correct it")
        if period_s is not None and not 0.0 < period_s < math.inf:
            raise InputError(
                f"csi: an estimate every {period_s:g} s; expected more than 0 s: "
                "leave the period out for an estimate whenever the channel changes"
            )
        self.fading = fading
        self.error, self.delay_s, self.period_s = error, delay_s, period_s
        self._weight = math.sqrt(1.0 - error * error)
        self._amplitude_key, self._phase_key = key_of(key, "amplitude"), key_of(key, "phase")

    def estimate(self, at_s: float) -> float:
        """Return the estimated power gain at an instant, linear."""
        seen_at_s = at_s - self.delay_s
        if self.period_s is not None:
            number = _step(seen_at_s, self.period_s)
            gain = self.fading.gain(number * self.period_s)
        else:
            gain = self.fading.gain(seen_at_s)
            if not self.error:
                return gain
            # The end of a constant gain's interval identifies it, for every instant in the interval.
            number = _bits(self.fading.until_s(seen_at_s))
        return self._distorted(gain, number)

    def until_s(self, at_s: float) -> float:
        """Return the instant, later than the given one, at which the estimate next changes."""
        seen_at_s = at_s - self.delay_s
        if self.period_s is not None:
            changes_at_s = (_step(seen_at_s, self.period_s) + 1) * self.period_s
        else:
            changes_at_s = self.fading.until_s(seen_at_s)
        until_s = changes_at_s + self.delay_s
        # The sum is rounded; move it on until the estimate has in fact changed.
        while until_s - self.delay_s < changes_at_s:
            until_s = math.nextafter(until_s, math.inf)
        return until_s

    def _distorted(self, gain: float, number: int) -> float:
        """Return the power of sqrt(1 - eps^2) h + eps e, with e in polar form: |e|^2 is exponential."""
        if not self.error:
            return gain
        size = self.error * math.sqrt(-math.log(keyed_uniform(self._amplitude_key, number)))
        angle_rad = 2.0 * math.pi * keyed_uniform(self._phase_key, number)
        real = self._weight * math.sqrt(gain) + size * math.cos(angle_rad)
        imaginary = size * math.sin(angle_rad)
        return real * real + imaginary * imaginary


def _step(at_s: float, step_s: float) -> int:
    """Return the number of the step that contains an instant; step i begins exactly at i * step_s."""
    step = math.floor(at_s / step_s)
    if step * step_s > at_s:
        return step - 1
    return step + 1 if (step + 1) * step_s <= at_s else step


def _bits(number: float) -> int:
    """Return the integer with the same 64 bits."""
    bits: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return bits
