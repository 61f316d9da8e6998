"""What every GPT promises, checked for all families and mixtures; ``test_every_family`` has what all rows promise."""

import pytest
import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import PADDING, Batch
from textwright.models.catalog import FAMILIES, build, find_family
from textwright.models.gpt.config import GPTConfig
from textwright.models.hooks import ModelHooks
from textwright.models.language_model import LanguageModel
from textwright.models.layers.attention import Attention

VOCAB, CONTEXT = 50, 24

VARIANTS = {
    "gpt2": {"family": "gpt2"},
    "gpt2 sinusoidal": {"family": "gpt2", "position_encoding": "sinusoidal"},
    "gpt2 rotary": {"family": "gpt2", "position_encoding": "rotary"},
    "gpt2 without positions": {"family": "gpt2", "position_encoding": "none"},
    "gpt2, a mixture": {
        "family": "gpt2",
        "norm": "rms_norm",
        "norm_position": "post",
        "mlp": "gated",
        "bias": False,
        "normalises_queries_and_keys": True,
        "num_key_value_heads": 2,
    },
    "gpt2 untied, scaled by layer": {"family": "gpt2", "tie_embeddings": False, "scales_attention_by_layer": True},
    "gpt1": {"family": "gpt1"},
    "qwen3": {"family": "qwen3", "position_encoding": "rotary", "activation": "silu", "norm_eps": 1e-6},
    "qwen3, shared heads": {
        "family": "qwen3",
        "position_encoding": "rotary",
        "activation": "silu",
        "num_key_value_heads": 2,
        "head_dim": 10,
        "tie_embeddings": False,
    },
}


def make(name: str, seed: int = 0, **changes: object) -> LanguageModel:
    shape = {"vocab_size": VOCAB, "context_length": CONTEXT, "num_layers": 3, "num_heads": 4, "hidden_size": 32}
    config = GPTConfig.model_validate(shape | VARIANTS[name] | changes)
    model = build(config, seed=seed).eval()
    with torch.no_grad():  # wide enough weights that a wrong mask or position shows
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(1)
    return make(request.param)


def forward(model: LanguageModel, ids: Tensor, hooks: ModelHooks | None = None) -> Tensor:
    batch = Batch.for_inputs(ids)
    with torch.no_grad():
        return model.logits(model.hidden_states(model.embed(batch, hooks), batch, hooks))


def random_ids(rows: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCAB, (rows, time), generator=torch.Generator().manual_seed(seed))


def close(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, atol=1e-5, rtol=1e-5))


def test_every_family_of_gpts_is_among_the_variants() -> None:
    of_gpt = {name for name in FAMILIES if find_family(name).config is GPTConfig}
    assert {variant["family"] for variant in VARIANTS.values()} == of_gpt


@pytest.mark.parametrize("chunks", [[CONTEXT], [1] * CONTEXT, [5, 1, 7, 11], [20, 4]])
def test_any_chunking_of_extend_gives_the_logits_of_the_whole(model: LanguageModel, chunks: list[int]) -> None:
    ids = random_ids(3, CONTEXT)
    whole, cache, start = forward(model, ids), model.empty_cache(3), 0
    for size in chunks:
        hidden = model.extend(ids[:, start : start + size], [size] * 3, cache, [0, 1, 2])
        assert close(model.logits(hidden), whole[:, start : start + size])
        start += size
    assert [cache.length(slot) for slot in range(3)] == [CONTEXT] * 3


def test_slots_of_different_lengths_are_extended_as_if_each_were_alone(model: LanguageModel) -> None:
    """Some of them at a time, next to each other and not, in any order."""
    ids = random_ids(4, CONTEXT)
    cache, read = model.empty_cache(4), [0] * 4
    for lengths in ({0: 4, 2: 9, 1: 1}, {3: 1, 0: 1}, {0: 1, 1: 1, 3: 1}, {1: 8, 2: 3}, {3: 1}, {2: 1, 1: 1, 0: 1}):
        chunk = torch.zeros(len(lengths), max(lengths.values()), dtype=torch.int64)
        for row, (slot, count) in enumerate(lengths.items()):
            chunk[row, :count] = ids[slot, read[slot] : read[slot] + count]
        hidden = model.extend(chunk, list(lengths.values()), cache, list(lengths))
        for row, (slot, count) in enumerate(lengths.items()):
            alone = forward(model, ids[slot : slot + 1, : read[slot] + count])[0, read[slot] :]
            assert close(model.logits(hidden[row, :count]), alone)
            read[slot] += count
        assert torch.isfinite(hidden).all()
    assert [cache.length(slot) for slot in range(4)] == read


def test_cropping_and_extending_again_is_as_if_never_gone_there(model: LanguageModel) -> None:
    ids, other, cache = random_ids(2, 12), random_ids(2, 6, seed=1), model.empty_cache(2)
    model.extend(ids[:, :6], [6, 6], cache, [0, 1])
    model.extend(other, [6, 4], cache, [0, 1])
    for slot in range(2):
        cache.crop(slot, 6)
    hidden = model.extend(ids[:, 6:], [6, 6], cache, [0, 1])
    assert close(model.logits(hidden), forward(model, ids)[:, 6:])


def test_forked_slots_go_on_as_separate_ones(model: LanguageModel) -> None:
    ids, cache = random_ids(3, 14), model.empty_cache(5)
    model.extend(ids[:, :9], [5, 9, 7], cache, [4, 0, 2])
    cache.fork(0, 1)
    cache.fork(2, 3, length=6)
    other = model.empty_cache(1)
    model.extend(ids[:1, :4], [4], other, [0])
    cache.put(2, other)
    cache.fork(0, 4, start=0, length=8)
    rows, starts = [1, 1, 0, 2, 1], [9, 9, 4, 6, 8]
    assert [cache.length(slot) for slot in range(5)] == starts
    chunk = torch.stack([ids[row, start : start + 3] for row, start in zip(rows, starts, strict=True)])
    hidden = model.extend(chunk, [3] * 5, cache, range(5))
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        alone = forward(model, ids[row : row + 1, : start + 3])[0, start:]
        assert close(model.logits(hidden[index]), alone)


def test_nothing_looks_into_the_future(model: LanguageModel) -> None:
    ids = random_ids(1, CONTEXT)
    before = forward(model, ids)
    for place in (1, 10, CONTEXT - 1):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % VOCAB
        after = forward(model, changed)
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.equal(before[:, place], after[:, place])


def test_packed_documents_are_as_if_each_were_alone(model: LanguageModel) -> None:
    ids = random_ids(1, CONTEXT)
    lengths = [5, 9, 6]
    documents = torch.tensor([[0] * 5 + [1] * 9 + [2] * 6 + [PADDING] * 4])
    positions = torch.tensor([[*range(5), *range(9), *range(6), 0, 0, 0, 0]])
    batch = Batch(ids, ids, torch.ones(1, CONTEXT), documents, positions)
    with torch.no_grad():
        packed = model.logits(model.hidden_states(model.embed(batch), batch))
    assert torch.isfinite(packed).all()
    start = 0
    for length in lengths:
        assert close(packed[:, start : start + length], forward(model, ids[:, start : start + length]))
        start += length


@pytest.mark.parametrize("checkpoints", [False, True])
def test_what_is_not_wanted_is_spared_and_changes_nothing(model: LanguageModel, checkpoints: bool) -> None:
    torch.manual_seed(3)
    ids = torch.randint(model.vocab_size, (3, 24))
    documents = torch.tensor([[0] * 9 + [1] * 13 + [PADDING] * 2]).expand(3, 24)
    weights = (torch.rand(3, 24) < 0.4).float() * (documents != PADDING)
    batch = Batch(ids, ids.roll(-1, 1), weights, document_ids=documents)
    seen = list[int]()
    watch = model.blocks[-1].mlp.register_forward_pre_hook(lambda _, given: seen.append(given[0][..., 0].numel()))

    def loss_and_gradients(batch: Batch) -> list[Tensor]:
        model.zero_grad()
        hidden = model.hidden_states(model.embed(batch), batch)
        assert hidden.shape == (3, 24, model.hidden_size)
        loss = model.loss(hidden, batch.target_ids, batch.loss_weight)
        loss.backward()
        return [loss.detach(), *(one.grad for one in model.parameters() if one.grad is not None)]

    model.train()
    if checkpoints:
        model.enable_activation_checkpointing()
    expected, found = loss_and_gradients(batch), loss_and_gradients(batch.where_counted())
    model.end_training()
    watch.remove()
    assert set(seen) == {72, int(weights.sum())}
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    nothing = batch.with_fields(loss_weight=torch.zeros(3, 24)).where_counted()
    assert loss_and_gradients(nothing)[0] == 0


def test_both_sides_are_seen_when_the_batch_says_so(model: LanguageModel) -> None:
    ids = random_ids(1, 8)
    changed = ids.clone()
    changed[0, -1] = (changed[0, -1] + 1) % VOCAB
    outs = []
    for row in (ids, changed):
        batch = Batch(row, row, torch.ones(1, 8), attention="bidirectional")
        outs.append(model.hidden_states(model.embed(batch), batch))
    assert not torch.allclose(outs[0][:, 0], outs[1][:, 0])


def test_hooks_change_nothing_and_record_every_point(model: LanguageModel) -> None:
    ids = random_ids(2, 10)
    hooks = ModelHooks(record=model.hook_points())
    assert close(forward(model, ids, hooks), forward(model, ids))
    assert set(hooks.recorded) == set(model.hook_points())
    pattern = hooks.recorded["blocks.1.attn.hook_pattern"]
    assert pattern.shape == (2, 4, 10, 10)
    assert close(pattern.sum(-1), torch.ones(2, 4, 10))
    assert hooks.recorded["blocks.1.attn.hook_z"].shape[:3] == (2, 10, 4)
    assert hooks.recorded["blocks.2.hook_mlp_out"].shape == (2, 10, model.hidden_size)


def test_hooks_replace_what_is_computed_and_refuse_a_point_that_is_not_there(model: LanguageModel) -> None:
    ids = random_ids(1, 10)
    unchanged = forward(model, ids)
    for point in ("attn.hook_z", "attn.hook_q", "attn.hook_pattern", "mlp.hook_post", "hook_resid_pre"):
        replaced = forward(model, ids, ModelHooks(replace={f"blocks.1.{point}": torch.zeros_like}))
        assert not close(replaced, unchanged), point
    assert close(forward(model, ids, ModelHooks(replace={"blocks.1.hook_mlp_out": lambda x: x})), unchanged)
    with pytest.raises(InputError, match=r"did you mean 'blocks\.1\.hook_mlp_out'"):
        forward(model, ids, ModelHooks(record=["blocks.1.hook_mlp_oot"]))


def test_only_who_asks_for_a_pattern_makes_attention_run_plainly(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("attention ran plainly")

    monkeypatch.setattr(Attention, "_eager_attention", refuse)
    points = [point for point in model.hook_points() if not point.endswith("hook_pattern")]
    forward(model, random_ids(1, 5), ModelHooks(record=points))
    with pytest.raises(AssertionError, match="ran plainly"):
        forward(model, random_ids(1, 5), ModelHooks(record=["blocks.0.attn.hook_pattern"]))


def test_hooks_see_in_decoding_what_they_see_in_the_whole(model: LanguageModel) -> None:
    ids = random_ids(2, 10)
    whole = ModelHooks(record=model.hook_points())
    forward(model, ids, whole)
    cache, found = model.empty_cache(2), []
    for start, stop in ((0, 6), (6, 7), (7, 10)):
        hooks = ModelHooks(record=model.hook_points())
        model.extend(ids[:, start:stop], [stop - start] * 2, cache, [0, 1], hooks)
        found.append(hooks.recorded)
    for point in model.hook_points():
        if point == "hook_pos_embed":
            continue  # one for all rows, or one a row
        if point.endswith("hook_pattern"):
            assert close(found[2][point], whole.recorded[point][:, :, 7:, :10]), point
        else:
            assert close(torch.cat([part[point] for part in found], dim=1), whole.recorded[point]), point


def test_hooks_reach_training_compiled_or_not(model: LanguageModel) -> None:
    """What is asked for around a block leaves it compiled; what is asked for inside runs that block as it is."""
    batch, compiled = Batch.from_ids(random_ids(2, 9)), []
    expected = ModelHooks(record=model.hook_points())
    model.hidden_states(model.embed(batch, expected), batch, expected)
    model.train()
    block = type(model.get_submodule("blocks.0"))

    def count(*arguments: object) -> object:
        compiled.append(arguments)
        return block.forward(*arguments)

    model._compiled_block = count
    for point, num_compiled in (("blocks.1.hook_resid_pre", 3), ("blocks.1.hook_attn_out", 2)):
        compiled.clear()
        hooks = ModelHooks(record=[point])
        model.hidden_states(model.embed(batch, hooks), batch, hooks)
        assert close(hooks.recorded[point], expected.recorded[point])
        assert len(compiled) == num_compiled
    model.end_training()


def test_contributions_add_up_to_the_residual_stream(model: LanguageModel) -> None:
    points = model.residual_contributions()
    hooks = ModelHooks(record=model.hook_points())
    forward(model, random_ids(2, 10), hooks)
    if model.config.norm_position == "post":
        assert points == ()
        return
    total = sum(hooks.recorded[point].expand(2, -1, -1) for point in points)
    assert close(total, hooks.recorded["blocks.2.hook_resid_post"])


def test_it_learns_one_batch_by_heart(model: LanguageModel) -> None:
    model = build(model.config).train()
    batch = Batch.from_ids(random_ids(2, 17))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        logits = model.logits(model.hidden_states(model.embed(batch), batch))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.target_ids.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_saved_and_loaded_weights_are_the_same_model(model: LanguageModel) -> None:
    other = build(model.config, seed=9).eval()
    other.load_state_dict(model.state_dict())
    ids = random_ids(2, 10)
    assert torch.equal(forward(other, ids), forward(model, ids))


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    one = build(make("gpt2").config, seed=3)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    two = build(one.config, seed=3)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    three = build(one.config, seed=4)
    assert not torch.equal(one.head_weight, three.head_weight)


def test_dropout_acts_in_training_only(model: LanguageModel) -> None:
    changes = {f"dropout_{place}": 0.5 for place in ("embedding", "attention", "residual")}
    noisy = build(model.config.model_copy(update=changes))
    ids = random_ids(1, 10)
    noisy.train()
    assert not torch.equal(forward(noisy, ids), forward(noisy, ids))
    noisy.eval()
    assert torch.equal(forward(noisy, ids), forward(noisy, ids))


def test_bfloat16_weights_and_autocast_stay_close(model: LanguageModel) -> None:
    ids = random_ids(2, 10)
    exact = forward(model, ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        casted = forward(model, ids)
    assert (casted.float() - exact).abs().max() < 0.1 * exact.std() + 0.1
    low = model.to(torch.bfloat16)
    hidden = low.extend(ids, [10, 10], low.empty_cache(2), [0, 1])
    assert hidden.dtype == torch.bfloat16
    assert (forward(low, ids).float() - exact).abs().max() < 0.2 * exact.std() + 0.2


def test_weights_depend_on_the_seed_alone_whoever_else_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as training in another thread: torch's own generator is everybody's, and is left alone."""
    expected = build(
        GPTConfig(vocab_size=VOCAB, context_length=CONTEXT, num_layers=1, num_heads=2, hidden_size=8), seed=3
    )
    normal, after = torch.nn.init.normal_, []

    def interrupted(*arguments: object, **named: object) -> object:
        after.append(torch.rand(1))
        return normal(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.init, "normal_", interrupted)
    torch.manual_seed(5)
    found = build(expected.config, seed=3)
    for (name, one), other in zip(found.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other), name
    torch.manual_seed(5)
    assert torch.equal(torch.cat(after), torch.cat([torch.rand(1) for _ in after]))


@pytest.mark.parametrize("name", VARIANTS)
def test_text_is_read_without_dropout_in_training_too(name: str) -> None:
    model = make(name, dropout_embedding=0.5, dropout_attention=0.5, dropout_residual=0.5)
    ids = random_ids(2, 6)
    expected = model.extend(ids, [6, 6], model.empty_cache(2), [0, 1])
    found = model.train().extend(ids, [6, 6], model.empty_cache(2), [0, 1])
    assert torch.equal(found, expected)
    assert model.training
