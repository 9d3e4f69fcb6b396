"""Rotary embeddings in a config: the share of dimensions rotated, and the extension of the context.

Other values are checked in :mod:`edgesim.model.timed_config`; factor and length are checked here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["rotated_share", "stretched_context"]

_BASES = {"linear": "max_position_embeddings", "dynamic": "max_position_embeddings", "yarn": "original"}
_ORIGINAL = "original_max_position_embeddings"


def stretched_context(config: Mapping[str, object], n_positions: int) -> int:
    """Return the longest text that servers allow: `n_positions`, or more with context extension.

    ``linear`` (Chen et al. 2023, arXiv 2306.15595) and ``dynamic`` extend `max_position_embeddings` by their
    factor, ``yarn`` (Peng et al. 2023, arXiv 2309.00071) extends the length of training, `original`; for
    other types (``llama3``, ``longrope``, formerly ``su``), `max_position_embeddings` includes the extension.

    Parameters
    ----------
    config
        A Hugging Face config with `rope_scaling`, or `rope_parameters` in newer versions.
    n_positions
        Its `max_position_embeddings`.

    Raises
    ------
    ValueError
        With a complete sentence, if the factor or the length is not a valid number.
    """
    key = next((key for key in ("rope_scaling", "rope_parameters") if config.get(key) is not None), None)
    if key is None:
        return n_positions
    section = config[key]
    assert isinstance(section, Mapping), "checked by timed_value_problem"
    kind = section.get("rope_type", section.get("type"))
    if not isinstance(kind, str) or kind not in _BASES:
        return n_positions
    factor = section.get("factor", 1.0)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < math.inf:
        raise ValueError(f"the factor of its {key} is {str(factor)[:40]!r}; expected a number of 1 or more")
    base: object = n_positions
    if _BASES[kind] == "original":
        base = section.get(_ORIGINAL, config.get(_ORIGINAL))
        base = n_positions if base is None else base
    if isinstance(base, bool) or not isinstance(base, int | float) or not 1 <= base < math.inf:
        raise ValueError(f"{_ORIGINAL} of its {key} is {str(base)[:40]!r}; expected a whole number >= 1")
    return math.floor(min(factor * base, 1e18))


def rotated_share(config: Mapping[str, object]) -> float:
    """Return the share of a head's dimensions to which rotary embeddings apply."""
    newer = config.get("rope_parameters")
    for section in (newer if isinstance(newer, Mapping) else {}, config):
        share = section.get("partial_rotary_factor")
        if isinstance(share, int | float):
            return float(share)
    return 1.0
