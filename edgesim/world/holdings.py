"""Model parts stored on each device, and the resulting memory."""

from __future__ import annotations

from collections.abc import Mapping

from edgesim.errors import ContractError
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.sharding import TensorShard

__all__ = ["Holdings", "parts_bytes"]


def parts_bytes(model: Architecture, parts: tuple[Slice, ...], shard: TensorShard | None) -> int:
    """Weight bytes of parts of a model, whole or of a device's tensor shard of their blocks."""
    if shard is None:
        return model.parts_bytes(parts)
    return sum(shard.weight_bytes(part) for part in parts)


class Holdings:
    """Model parts on every device, fixed for a whole run."""

    def __init__(
        self,
        model: Architecture,
        parts: Mapping[str, tuple[Slice, ...]],
        shards: Mapping[str, TensorShard] | None = None,
    ) -> None:
        self._model = model
        self._parts = parts
        self.shards = shards or {}

    def parts(self, device: str) -> tuple[Slice, ...]:
        """Model parts on a device."""
        return self._parts.get(device, ())

    def weight_bytes(self, device: str) -> int:
        """Weight bytes on a device."""
        return parts_bytes(self._model, self._parts.get(device, ()), self.shards.get(device))

    def kv_bytes_per_token(self, device: str) -> int:
        """KV cache bytes of one token for the blocks on a device."""
        n_blocks = sum(part.n_blocks for part in self._parts.get(device, ()))
        shard = self.shards.get(device)
        return (self._model if shard is None else shard).kv_bytes_per_token(n_blocks)

    def check(self, device: str, part: Slice) -> None:
        """Raise ContractError unless a device stores all of a part."""
        stored = self._parts.get(device, ())
        blocks = {block for slice_ in stored for block in range(slice_.first, slice_.last)}
        if (
            not blocks.issuperset(range(part.first, part.last))
            or (part.embedding and not any(slice_.embedding for slice_ in stored))
            or (part.head and not any(slice_.head for slice_ in stored))
        ):
            raise ContractError(
                f"compute: {device!r} does not hold {part}; its placement gives it "
                f"{', '.join(map(str, stored)) or 'nothing'}"
            )
