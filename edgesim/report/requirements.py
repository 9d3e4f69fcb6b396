"""Checks that the packages of optional extras are installed."""

from __future__ import annotations

from importlib.util import find_spec

from edgesim.errors import InputError

__all__ = ["require_matplotlib", "require_training"]


def require_matplotlib(where: str) -> None:
    """Raise an error if matplotlib is not installed.

    Parameters
    ----------
    where
        The option or command that needs matplotlib, for the error message.

    Raises
    ------
    InputError
        If it is missing; the message gives the command to install it.
    """
    if find_spec("matplotlib") is None or find_spec("matplotlib.figure") is None:
        raise InputError(f"{where}: needs matplotlib, which is not installed; pip install 'edgesim[plots]'")


def require_training() -> None:
    """Raise an error if the packages for training policies are not installed.

    Raises
    ------
    InputError
        If any is missing; the message gives the command to install them, and alternatives to training.
    """
    missing = [name for name in ("gymnasium", "stable_baselines3") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training a policy needs {' and '.join(missing)}; install them with: pip install "
            "'edgesim[rl]'; or set 'policy' to a shipped one (shipped:NAME, edgesim list policies), "
            "a file, or a rule"
        )
