"""Whether what an extra installs is there."""

from __future__ import annotations

from importlib.util import find_spec

from edgesim.errors import InputError

__all__ = ["require_training"]


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
