"""Early exits of tokens, replayed from measured answers with the caches that a request has."""

from __future__ import annotations

from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError, InputError
from edgesim.model.answers.exit_paths import CacheFill, ExitPath
from edgesim.model.answers.exit_records import Exit, ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import PropagatedPaths

__all__ = ["Exiting", "Leaving"]


class Leaving:
    """Early exits of one request's tokens.

    Attributes
    ----------
    exits
        By token, the block after which it exited, and whether its answer was right.
    caches
        Rule for caches under which its exits are replayed; None before the first exit.
    rule
        Exit rule of its tokens, if the thresholds of all exits matter.
    """

    __slots__ = ("caches", "exits", "rule")

    def __init__(self) -> None:
        self.exits: dict[int, tuple[int, bool]] = {}
        self.caches: CacheFill | None = None
        self.rule: ExitRule | None = None


class Exiting:
    """Replay the exits of one world.

    With complete caches, as with recomputation and with one path for a request, a token's confidences are
    those of a pass of all tokens through all blocks. With propagated caches they depend on where the tokens
    before it exited, so the answers measured under exactly this rule are replayed.
    """

    def __init__(self, records: ExitRecords | None, paths: PropagatedPaths | None) -> None:
        if records is not None and paths is not None:
            paths.check_fits(records)
        self._records, self._paths = records, paths

    def leaves(
        self,
        request: LiveRequest,
        leaving: Leaving,
        token: int,
        block: int,
        *,
        confidence: float | None = None,
        entropy: float | None = None,
        rule: ExitRule | None = None,
        caches: CacheFill | str | None = None,
    ) -> bool | None:
        """Return whether a token that exits after `block` blocks is right; None if it does not exit there.

        Parameters
        ----------
        confidence, entropy, rule, caches
            See :meth:`edgesim.engine.cluster.Cluster.exits`.
        """
        if self._records is None:
            raise ContractError("exits: this world has no measured answers to replay")
        if block not in self._records.blocks:
            stand = ", ".join(map(str, self._records.blocks))
            raise ContractError(f"exits: there is none after block {block}; exits are after {stand}")
        if sum(given is not None for given in (confidence, entropy, rule)) != 1:
            raise ContractError(
                "exits: give either the least confidence or the most entropy to leave with, or a rule for "
                "all exits"
            )
        how = self._settled(request, leaving, rule, caches)
        if how is CacheFill.PROPAGATE:
            assert rule is not None
            return self._propagated(request, token, block, rule)
        said = self._records.at(request.sample, token, block)
        if how is CacheFill.SAME_PATH and leaving.exits:
            (path, _), *_ = leaving.exits.values()
            if block > path:
                raise ContractError(
                    f"exits: all tokens of request {request.id} leave after block {path - 1} (same-path), "
                    f"but token {token} has gone further, through block {block - 1}"
                )
            return said.is_correct if block == path else None
        if rule is not None and block != self._records.blocks[-1]:
            threshold = self._threshold(rule, block)
            confidence, entropy = (threshold, None) if rule.kind == "confidence" else (None, threshold)
        is_last = block == self._records.blocks[-1]
        return said.is_correct if is_last or _is_sure(said, confidence, entropy) else None

    def path_of(self, leaving: Leaving) -> ExitPath | None:
        """Return the answers of a request whose caches are propagated; None if they are not."""
        is_propagated = leaving.caches is CacheFill.PROPAGATE and leaving.rule is not None
        return self._path(leaving.rule) if is_propagated and leaving.rule is not None else None

    def check(self, rule: ExitRule, caches: CacheFill) -> None:
        """Raise InputError unless exits were measured with this rule and these caches."""
        if self._records is None:
            raise InputError(
                "quality: no exits were measured for this scenario; add 'quality: {model: bundled}'"
            )
        if caches is CacheFill.PROPAGATE:
            self._path(rule)
        elif len(rule.thresholds) != len(self._records.blocks) - 1:
            raise InputError(
                f"exits: found a rule of {len(rule.thresholds)} thresholds; expected one for each of "
                f"{len(self._records.blocks) - 1} inner exits"
            )
        elif rule.kind == "entropy" and self._records.entropy is None:
            raise InputError("exits: these measured answers have no entropies; use confidence")

    def _settled(
        self,
        request: LiveRequest,
        leaving: Leaving,
        rule: ExitRule | None,
        caches: CacheFill | str | None,
    ) -> CacheFill:
        """Return a request's rule for caches, which must be the same for all its tokens."""
        try:
            how = CacheFill.RECOMPUTE if caches is None else CacheFill(caches)
        except ValueError:
            known = ", ".join(repr(str(one)) for one in CacheFill)
            raise ContractError(f"exits: caches={caches!r} is not known; there are {known}") from None
        if leaving.caches not in (None, how):
            raise ContractError(
                f"exits: request {request.id} was asked with caches='{leaving.caches}', and now with "
                f"'{how}'; earlier tokens' keys and values cannot change: use the same for all tokens"
            )
        if how is CacheFill.PROPAGATE:
            if rule is None:
                raise ContractError(
                    "exits: with propagated caches confidences depend on all thresholds of earlier tokens; "
                    "give the whole rule (rule=)"
                )
            if leaving.rule not in (None, rule):
                raise ContractError(
                    f"exits: request {request.id} exits by {leaving.rule}, and with propagated caches its "
                    f"later tokens must, too; use {rule} for new requests only"
                )
            self._path(rule)
            leaving.rule = rule
        leaving.caches = how
        return how

    def _propagated(self, request: LiveRequest, token: int, block: int, rule: ExitRule) -> bool | None:
        left = self._path(rule).at(request.sample, token)
        if block > left.block:
            raise ContractError(
                f"exits: token {token} of request {request.id} left after block {left.block - 1} when this "
                f"was measured ({rule}), but exits was not called there; call it at every exit"
            )
        return left.is_correct if block == left.block else None

    def _path(self, rule: ExitRule) -> ExitPath:
        if self._paths is None:
            raise InputError(
                "quality: answers with propagated caches were not measured for this scenario, or the "
                "strategy did not declare them (exit_rules of its placement); use 'recompute' "
                "or 'same-path', or measure them (edgesim quality MODEL --generation)"
            )
        return self._paths.path(rule)

    def _threshold(self, rule: ExitRule, block: int) -> float:
        assert self._records is not None
        self.check(rule, CacheFill.RECOMPUTE)
        return rule.thresholds[self._records.blocks.index(block)]


def _is_sure(said: Exit, confidence: float | None, entropy: float | None) -> bool:
    if confidence is not None:
        return said.confidence >= confidence
    if said.entropy is None:
        raise ContractError("exits: these measured answers have no entropies; use confidence")
    return entropy is not None and said.entropy <= entropy
