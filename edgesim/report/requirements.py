"""Whether what an extra installs is there."""

from __future__ import annotations

from importlib.util import find_spec

from edgesim.errors import InputError

__all__ = ["require_matplotlib", "require_training"]


def require_matplotlib(where: str) -> None:
    """Refuse to draw where the extra is not installed.

    Parameters
    ----------
    where
        What asked for a figure: an option or a command.

    Raises
    ------
    InputError
        Saying how to install it.
    """
    if find_spec("matplotlib") is None or find_spec("matplotlib.figure") is None:
        raise InputError(f"{where}: needs matplotlib, which is not installed; pip install 'edgesim[plots]'")


def require_training() -> None:
    """Refuse to train where the extra is not installed.

    Raises
    ------
    InputError
        Saying how to install it, and what does without.
    """
    missing = [name for name in ("gymnasium", "stable_baselines3") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training a policy needs {' and '.join(missing)}, which come with an extra: pip install "
            "'edgesim[rl]'; or let 'policy' name one that ships (shipped:NAME, edgesim list policies), "
            "a file, or a rule"
        )
