"""Config keys other than sizes that affect the time of a pass, and their valid values.

A model is built for timing from these keys and the sizes only (`edgesim.measure.modules`); all other keys of
a config are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgesim.nearest import suggest
from edgesim.units import is_finite_number

__all__ = ["ACTIVATIONS", "TIMED_KEYS", "timed_value_problem"]

ACTIVATIONS = (
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
    "gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "prelu", "quick_gelu",
    "relu", "relu2", "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh", "xielu",
)  # fmt: skip
"""Names of activation functions in transformers (`transformers.activations.ACT2FN`)."""

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "activation": "activation",
        "activation_function": "activation",
        "attn_logit_softcapping": "positive",
        "final_logit_softcapping": "positive",
        "hidden_act": "activation",
        "hidden_activation": "activation",
        "layer_norm_eps": "share",
        "layer_norm_epsilon": "share",
        "layer_types": "kinds of blocks",
        "partial_rotary_factor": "share",
        "reorder_and_upcast_attn": "flag",
        "rms_norm_eps": "share",
        "rope_parameters": "object",
        "rope_scaling": "object",
        "scale_attn_by_inverse_layer_idx": "flag",
        "scale_attn_weights": "flag",
        "sinusoidal_pos_embds": "flag",
    }
)
TIMED_KEYS = frozenset(_KINDS) - {"layer_types", "rope_parameters", "rope_scaling"}
"""Keys, in addition to sizes, with which a model is built for timing. The excluded keys determine the blocks
with a window and the maximum context, and are read elsewhere; rotation angles do not affect the time."""


def timed_value_problem(key: str, value: object) -> str | None:
    """Return what was expected of a key if its value is invalid, else None; null means the default."""
    if value is None or key not in _KINDS:
        return None
    match _KINDS[key]:
        case "activation":
            is_sound = isinstance(value, str) and value in ACTIVATIONS
            name = value if isinstance(value, str) else ""
            return None if is_sound else f"expected an activation function; {suggest(name, ACTIVATIONS)}"
        case "positive":
            return None if is_finite_number(value) and value > 0 else "expected a number above 0, or null"
        case "share":
            is_sound = is_finite_number(value) and 0 < value <= 1
            return None if is_sound else "expected a number above 0, and 1 at most"
        case "flag":
            return None if isinstance(value, bool) else "expected true or false"
        case "object":
            if not isinstance(value, Mapping):
                return "expected an object, such as {rope_type: yarn}"
            turned = value.get("partial_rotary_factor")
            return turned and timed_value_problem("partial_rotary_factor", turned)
        case _:
            is_sound = isinstance(value, list | tuple) and all(
                one in ("full_attention", "sliding_attention") for one in value
            )
            return None if is_sound else "expected a list of full_attention and sliding_attention"
