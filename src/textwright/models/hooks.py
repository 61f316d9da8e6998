"""Looking into a model while it runs, and changing what it computes, by the names that TransformerLens gave its points.

::

    hook_embed  hook_pos_embed
    blocks.N.hook_resid_pre
    blocks.N.attn.hook_q, hook_k, hook_v    [batch, time, heads, head_dim]
    blocks.N.attn.hook_pattern              [batch, heads, queries, keys]
    blocks.N.attn.hook_z                    [batch, time, heads, head_dim]
    blocks.N.hook_attn_out  blocks.N.hook_resid_mid
    blocks.N.mlp.hook_pre, hook_post        [batch, time, intermediate_size], gated ones hook_pre_linear too
    blocks.N.hook_mlp_out  blocks.N.hook_resid_post
    ln_final.hook_normalized

Source of the names: TransformerLens 2 (Nanda and Bloom 2022), as its models list them.
"""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from textwright.core.errors import unknown_name


class ModelHooks:
    """Records or replaces what a model computes at named points.

    A model lists its points with ``hook_points()``. Only who asks for an attention pattern makes attention run plainly:
    a fused one never holds it.

    Args:
        record: points whose tensors are kept in ``recorded``.
        replace: point -> function from the tensor computed there to the one to go on with.
    """

    def __init__(self, record: Iterable[str] = (), replace: Mapping[str, Callable[[Tensor], Tensor]] | None = None):
        self.record = frozenset(record)
        self.replace = dict(replace or {})
        self.recorded: dict[str, Tensor] = {}
        self._asked = self.record | self.replace.keys()

    def check(self, points: Iterable[str]) -> None:
        """Raises InputError for a point that the model does not have, with the nearest one it has."""
        known = set(points)
        for name in sorted(self._asked):
            if name not in known:
                raise unknown_name("hook point", name, known)

    def __call__(self, point: str, value: Tensor) -> Tensor:
        """Called by the model at each point: returns what to go on with."""
        if point in self.replace:
            value = self.replace[point](value)
        if point in self.record:
            self.recorded[point] = value
        return value

    def within(self, prefix: str, *, but: Iterable[str] = ()) -> "BlockHooks | None":
        """These hooks for a block that does not know its name; None where nobody asks for anything inside it.

        Args:
            prefix: of its points, such as ``blocks.3.``.
            but: its points that are called from outside of it, without the prefix.
        """
        outside = {prefix + name for name in but}
        if any(name.startswith(prefix) and name not in outside for name in self._asked):
            return BlockHooks(self, prefix)
        return None

    def asks_for(self, point: str) -> bool:
        """Whether somebody wants to see or change it."""
        return point in self._asked


class BlockHooks:
    """A model's hooks as a block sees them: its points are called without the block's name."""

    def __init__(self, hooks: ModelHooks, prefix: str) -> None:
        self._hooks, self._prefix = hooks, prefix

    def __call__(self, point: str, value: Tensor) -> Tensor:
        """As ``ModelHooks``."""
        return self._hooks(self._prefix + point, value)

    def asks_for(self, point: str) -> bool:
        """As ``ModelHooks.asks_for``."""
        return self._hooks.asks_for(self._prefix + point)
