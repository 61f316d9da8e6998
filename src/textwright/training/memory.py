"""How much memory training takes: measured, and foreseen."""

import contextlib
import resource
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from textwright.data.batch import Batch
from textwright.kernels.torch_threads import suit
from textwright.models.language_model import LanguageModel
from textwright.models.layer_groups import lowest_trained
from textwright.models.layers.cross_entropy import MAX_LOGIT_BYTES
from textwright.training.compute_weights import num_copied
from textwright.training.config import ResolvedTrainConfig
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.optimizers import drawn_to_start, moved_by_muon
from textwright.training.precision import autocast

HEAP = 1.35
"""What the heap holds for each byte in use at the highest moment: it keeps gaps. Measured (docs/experiments.md)."""
LIBRARIES = 100 * 10**6
"""What torch's own code and buffers take once a step has run. Measured likewise."""
STATM = Path("/proc/self/statm")
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_VMHWM = "5"
"""As proc(5) has it."""


def used_bytes(device: torch.device) -> int:
    """Memory in use now: of the GPU where training runs there, else the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    return peak_bytes(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory used so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        # Not getrusage's ru_maxrss: that also counts the process that started this one, up to the exec.
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak(device: torch.device) -> None:
    """Let ``peak_bytes`` begin anew from what is used now, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text(RESET_VMHWM)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 4 * 2**30


@dataclass(frozen=True)
class Activations:
    """What a forward pass keeps for its backward pass."""

    fixed_bytes: int
    """Whatever the number of rows: the head's gradient."""
    row_bytes: int
    """For each row more."""
    block_bytes: int
    """Of one row in one block: in the backward pass so much is held once more, as gradients."""
    used_bytes: int
    """What the process held before any training: the interpreter, torch, the model."""

    def of(self, rows: int) -> int:
        """Bytes held for so many rows."""
        return self.fixed_bytes + rows * (self.row_bytes + self.block_bytes)


def measure_activations(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig, batch: Batch) -> Activations:
    """Find what rows keep, from a forward pass of one row and one of two; what they leave behind is undone.

    Args:
        model_with_loss: in training.
        config: with a sequence length and a precision.
        batch: of those it is to learn from; its rows are filled up to the sequence length.
    """
    time, device = config.sequence_length, next(model_with_loss.parameters()).device
    used = used_bytes(device)
    # To compile for two more shapes takes longer than the rest.
    eager = torch.compiler.set_stance("force_eager") if config.compile else contextlib.nullcontext()
    with (
        eager,
        autocast(device, config.precision),
    ):
        rows = batch.filled_up(time).with_fields(sample_ids=None)  # what is computed here is not to be stored
        one, two = (
            _saved_bytes(model_with_loss, rows.select(chosen).to(device)) for chosen in ([0], [0, 1 % rows.num_rows])
        )
    row_bytes, layers = max(1, two - one), _num_layers_run_back(model_with_loss)
    block_bytes = row_bytes // max(1, layers)
    if config.activation_checkpointing and isinstance(model_with_loss.model, LanguageModel):
        # The hooks see what would be kept without it: of that one block at a time, and what goes into each.
        row_bytes = block_bytes + layers * time * model_with_loss.model.hidden_size * 4
    return Activations(max(0, one - (two - one)), row_bytes, block_bytes, used)


def training_bytes(
    model_with_loss: ModelWithLoss, config: ResolvedTrainConfig, activations: Activations, *, saves: bool
) -> int:
    """The most memory a process will hold while it trains. docs/how-it-works.md has the sum.

    Two moments may be the highest: the loss of the last micro-batch, with all activations there, and the end of the
    backward pass, with all gradients there.
    """
    trained = {name: p.numel() for name, p in model_with_loss.named_parameters() if p.requires_grad}
    copies = 2 * num_copied(model_with_loss) if config.precision == "bfloat16" else 0
    optimizer = optimizer_bytes(model_with_loss, config)
    starts = sum(weight.nbytes for weight in drawn_to_start(model_with_loss, config))
    gradients = 4 * sum(trained.values())
    model, vocab_size, head_bytes = model_with_loss.model, 0, 0
    if isinstance(model, LanguageModel):
        vocab_size = model.vocab_size
        if model.head_weight.requires_grad:
            head_bytes = 4 * model.head_weight.numel()
        elif config.precision == "bfloat16":
            copies += 2 * model.head_weight.numel()  # a frozen head is cast once, and has no gradient
    item = 2 if config.precision == "bfloat16" else 4
    num_logits = min(MAX_LOGIT_BYTES // item, config.micro_batch_size * config.sequence_length * vocab_size)
    # Compiled, a gradient beside them; the kernel's is in their place; else all is computed in float32.
    by_kernel = config.precision == "float32" and isinstance(model, LanguageModel) and suit(model.head_weight)
    logits = num_logits * (2 * item if config.compile else item if by_kernel else item + 4)
    at_loss = (
        activations.of(config.micro_batch_size)
        + logits
        + (gradients if config.micro_batch_size < config.batch_size else 0)
    )
    at_end = gradients + copies + max(head_bytes, _muon_bytes(model_with_loss, config))
    weights = sum(parameter.nbytes for parameter in model_with_loss.parameters())
    # A checkpoint is written from a copy, and so is the best model, while training goes on.
    every = config.checkpoint_every or config.steps
    copied = 2 * weights + optimizer if saves and every < config.steps else 0
    held = optimizer + starts + copies + max(at_loss, at_end) + copied
    return activations.used_bytes + LIBRARIES + int(HEAP * held)


def optimizer_bytes(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> int:
    """What the optimizer keeps: one number a parameter in Muon, two in AdamW, all float32."""
    by_muon = moved_by_muon(model_with_loss, config)
    trained = {name: p.numel() for name, p in model_with_loss.named_parameters() if p.requires_grad}
    return sum(4 * size * (1 if name in by_muon else 2) for name, size in trained.items())


def _num_layers_run_back(model_with_loss: ModelWithLoss) -> int:
    """How many blocks the backward pass goes through: from the lowest one that is trained, or has such below it, up."""
    model = model_with_loss.model
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups = model.layer_groups()
    run_back = groups[lowest_trained(groups, trained) :]
    return sum(group.kind == "block" for group in run_back) if groups else model.num_layers


def _muon_bytes(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> int:
    """Muon's own working memory: the largest batch of equal matrices, four times over."""
    sizes: Counter[tuple[int, int]] = Counter()
    parameters = dict(model_with_loss.named_parameters())
    for name, splits in moved_by_muon(model_with_loss, config).items():
        columns = parameters[name].shape[1]
        for rows in splits:
            sizes[rows, columns] += rows * columns * 4
    return 4 * max(sizes.values(), default=0)


def _saved_bytes(model_with_loss: ModelWithLoss, batch: Batch) -> int:
    weights = {parameter.untyped_storage().data_ptr() for parameter in model_with_loss.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = {buffer: buffer.clone() for buffer in model_with_loss.buffers()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = model_with_loss(batch)
    del loss
    for buffer, before in buffers.items():
        buffer.copy_(before)
    return sum(sizes.values())
