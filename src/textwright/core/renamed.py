"""What users typed for version 0.1 and type otherwise now: an old name is answered with the new one.

Imports nothing: options, configs, presets and arguments are all looked up here.
"""

from collections.abc import Container

KEYS: dict[str, str] = {
    # training
    "rows": "batch_size",
    "time": "sequence_length",
    "micro_rows": "micro_batch_size",
    "layout": "packing",
    "clip": "max_grad_norm",
    "final_fraction": "min_lr_ratio",
    "patience": "early_stopping_patience",
    "max_bad_steps": "max_skipped_steps",
    "max_loss_deviations": "loss_spike_threshold",
    "recompute": "activation_checkpointing",
    "evaluation_tokens": "training.max_eval_tokens",
    # models
    "width": "hidden_size",
    "head_width": "head_dim",
    "mlp_width": "intermediate_size",
    "positions": "position_encoding",
    "rotary_base": "rope_theta",
    "norm_epsilon": "norm_eps",
    "tied_head": "tie_embeddings",
    # generation
    "num_samples": "n",
    "alternatives": "top_logprobs",
    "banned_words": "bad_words",
    "no_repeat_ngram": "no_repeat_ngram_size",
    "contrastive_alpha": "penalty_alpha",
    "deterministic": "batch_invariant",
    "num_drafted": "num_speculative_tokens",
}
"""Fields of configs, arguments of functions and, with hyphens, options of the command line."""

VALUES: dict[str, dict[str, str]] = {
    "layout": {"windows": "none", "packed": "documents"},
    "family": {"modern": "qwen3"},
}
"""By key: what a value is called now."""

PRESETS: dict[str, str] = {f"modern-{size}": f"qwen3-{size}" for size in ("nano", "tiny", "small")}

CLASSES: dict[str, str] = {"ModelChoice": "ModelOptions", "Finding": "CheckResult"}
"""Names of the package."""


def new_key(name: str, known: Container[str]) -> str | None:
    """What ``name`` is called now, where only the new name is ``known``; None for any other name."""
    new = KEYS.get(name)
    is_known = new is not None and new.split(".")[0] in known
    return new if is_known and name not in known else None


def new_option(option: str) -> str | None:
    """What an option such as ``--rows`` or ``--model.positions`` is called now, with its values where they changed."""
    group, dot, name = option.removeprefix("--").rpartition(".")
    negative = "no-" if name.startswith("no-") and name.removeprefix("no-").replace("-", "_") in KEYS else ""
    old = name.removeprefix(negative).replace("-", "_")
    if not option.startswith("--") or old not in KEYS:
        return None
    values = ", ".join(f"{before} is now {now}" for before, now in VALUES.get(old, {}).items())
    return f"--{group}{dot}{negative}{KEYS[old].replace('_', '-')}" + (f" ({values})" if values else "")
