"""Kernels of attention for training do what the formula says, at any length, and nothing beyond their tensors."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from textwright.data.batch import PADDING, Batch
from textwright.models.catalog import build
from textwright.models.layers import kernel_attention
from textwright.models.layers.attention import make_attention_mask, make_attention_starts
from textwright.models.layers.kernel_attention import causal_attention
from textwright.models.presets import preset

pytestmark = pytest.mark.skipif(
    not kernel_attention.suits(torch.zeros(1), 32), reason="a processor without AVX-512, or torch without OpenMP"
)
SCALE, CANARY = 0.2, 7.0
SHAPES = [(1, 1, 1, 32), (2, 3, 5, 64), (1, 2, 37, 32), (2, 1, 70, 56), (1, 2, 128, 64), (1, 1, 203, 128)]


def tensors(rows: int, heads: int, time: int, width: int) -> list[Tensor]:
    """Query, key and value as a layer cuts them out of one product, and a gradient."""
    torch.manual_seed(time)
    parts = torch.randn(rows, time, 3 * heads * width).split(heads * width, dim=-1)
    found = [part.unflatten(-1, (heads, width)).transpose(1, 2) for part in parts]
    return [*found, torch.randn(rows, heads, time, width)]


def some_starts(rows: int, time: int) -> Tensor:
    """Documents of many lengths, other ones in each row."""
    torch.manual_seed(rows + time)
    is_first = torch.rand(rows, time) < 0.1
    return torch.where(is_first, torch.arange(time), 0).cummax(dim=1).values.int()


def reference(query: Tensor, key: Tensor, value: Tensor, starts: Tensor) -> Tensor:
    """The formula, in float64."""
    places = torch.arange(query.shape[2])
    seen = (places <= places[:, None]) & (places >= starts[:, :, None])
    scores = (query @ key.mT * SCALE).masked_fill(~seen[:, None], float("-inf"))
    return scores.softmax(dim=-1) @ value


def gradients(function: Callable[..., Tensor], parts: list[Tensor], starts: Tensor, grad_out: Tensor) -> list[Tensor]:
    """What comes out, and the gradients of what went in."""
    leaves = [part.detach().requires_grad_() for part in parts]
    out = function(*leaves, starts)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad_out)]


def ours(query: Tensor, key: Tensor, value: Tensor, starts: Tensor) -> Tensor:
    return causal_attention(query, key, value, starts, SCALE)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("has_documents", [False, True])
def test_values_and_gradients_are_those_of_the_formula(shape: tuple[int, int, int, int], has_documents: bool) -> None:
    *parts, grad_out = tensors(*shape)
    rows, _, time, _ = shape
    starts = some_starts(rows, time) if has_documents else torch.zeros(rows, time, dtype=torch.int32)
    found = gradients(ours, parts, starts, grad_out)
    expected = gradients(reference, [part.double() for part in parts], starts, grad_out.double())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_scores_that_are_far_apart_are_no_trouble() -> None:
    *parts, grad_out = tensors(1, 2, 40, 32)
    parts[0] *= 300
    starts = some_starts(1, 40)
    found = gradients(ours, parts, starts, grad_out)
    expected = gradients(reference, [part.double() for part in parts], starts, grad_out.double())
    assert all(one.isfinite().all() for one in found)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-3, atol=1e-3)


def test_what_is_no_number_shows() -> None:
    *parts, grad_out = tensors(1, 1, 40, 32)
    parts[0][0, 0, 20, 3] = float("nan")
    found = gradients(ours, parts, some_starts(1, 40), grad_out)
    assert found[0][0, 0, 20].isnan().all()
    assert found[0][0, 0, 21:].isfinite().all()
    assert all(gradient.isnan().any() for gradient in found[1:])


@pytest.mark.parametrize("shape", [(0, 2, 5, 32), (2, 2, 0, 32)], ids=str)
def test_of_nothing_comes_nothing(shape: tuple[int, int, int, int]) -> None:
    parts, starts = [torch.zeros(shape) for _ in range(3)], torch.zeros(shape[0], shape[2], dtype=torch.int32)
    assert all(one.shape == shape for one in gradients(ours, parts, starts, torch.zeros(shape)))


def test_tensors_may_lie_in_memory_in_any_way() -> None:
    *parts, grad_out = tensors(2, 3, 21, 32)
    starts = some_starts(2, 21)
    expected = gradients(ours, parts, starts, grad_out)
    turned = [part.mT.contiguous().mT for part in parts]  # a head's numbers lie far from each other
    for other in (turned, [part.contiguous() for part in parts]):
        found = gradients(ours, other, starts, grad_out)
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    spread = gradients(ours, parts, starts, torch.ones(()).expand(grad_out.shape))
    same = gradients(ours, parts, starts, torch.ones(grad_out.shape))
    assert all(torch.equal(one, two) for one, two in zip(spread, same, strict=True))


def test_the_bits_do_not_depend_on_threads() -> None:
    *parts, grad_out = tensors(3, 3, 50, 32)
    starts = some_starts(3, 50)
    before, found = torch.get_num_threads(), []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(gradients(ours, parts, starts, grad_out))
    torch.set_num_threads(before)
    assert all(torch.equal(one, two) for other in found[1:] for one, two in zip(found[0], other, strict=True))


def test_another_thread_may_compute_at_the_same_time() -> None:
    *parts, grad_out = tensors(2, 2, 60, 32)
    starts = some_starts(2, 60)
    expected, found = gradients(ours, parts, starts, grad_out), []
    threads = [
        threading.Thread(target=lambda: found.append(gradients(ours, parts, starts, grad_out))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(one, two) for other in found for one, two in zip(expected, other, strict=True))


@pytest.mark.parametrize("width", [32, 40])
@pytest.mark.parametrize("time", [1, 7, 9, 33])
def test_nothing_is_written_beyond_what_is_asked_for(time: int, width: int) -> None:
    *parts, grad_out = tensors(1, 2, time, width)
    starts, logsumexp = some_starts(1, time), torch.full((1, 2, time + 1), CANARY)
    room = {
        name: torch.full((1, time + 2, 3, width), CANARY) for name in ("out", "grad_query", "grad_key", "grad_value")
    }
    within = {name: whole[:, 1:-1, :2].transpose(1, 2) for name, whole in room.items()}
    told = dict(zip(("query", "key", "value", "grad_out"), (*parts, grad_out), strict=True)) | within
    sums = logsumexp.flatten()[: 2 * time].view(1, 2, time)
    for is_backward in (False, True):
        kernel_attention._do(told, starts, sums, SCALE, is_backward=is_backward)
    assert all((whole[:, [0, -1]] == CANARY).all() and (whole[:, :, 2] == CANARY).all() for whole in room.values())
    assert all((whole != CANARY).all() for whole in within.values())
    assert (logsumexp.flatten()[2 * time :] == CANARY).all()


def test_compiled_it_is_the_same() -> None:
    *parts, grad_out = tensors(2, 2, 24, 32)
    starts = some_starts(2, 24)
    expected = gradients(ours, parts, starts, grad_out)
    found = gradients(torch.compile(ours, backend="aot_eager", fullgraph=True), parts, starts, grad_out)
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


def test_starts_are_what_the_mask_says() -> None:
    ids = torch.zeros((2, 8), dtype=torch.int64)
    documents = torch.tensor([[0, 0, 1, 1, 1, 2, PADDING, PADDING], [0] * 8])
    batch = Batch.for_inputs(ids)
    for of in (batch, Batch(ids, ids, torch.ones(ids.shape), document_ids=documents)):
        starts, places = make_attention_starts(of), torch.arange(8)
        seen = (places <= places[:, None]) & (places >= starts[:, :, None])
        mask, is_causal = make_attention_mask(of)
        expected = torch.ones(8, 8).tril().bool().expand(2, 8, 8) if mask is None else mask[:, 0]
        assert is_causal is (mask is None)
        real = torch.ones(2, 8, dtype=torch.bool) if of.document_ids is None else documents != PADDING
        assert torch.equal(seen[real], expected[real])  # padding sees padding here: nobody sees it


@pytest.mark.parametrize("position_encoding", ["learned", "rotary"])
def test_a_model_computes_what_it_computes_without(position_encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = preset("nano", vocab_size=40, context_length=64)
    model = build(shape.model_copy(update={"position_encoding": position_encoding, "dropout_attention": 0.1}), seed=1)
    torch.manual_seed(2)
    ids = torch.randint(40, (3, 50))
    documents = torch.cat([torch.zeros(20), torch.ones(22), torch.full((8,), PADDING)]).long().expand(3, 50)
    batch = Batch(ids, ids, (documents != PADDING).float(), document_ids=documents)
    asked = list[int]()
    monkeypatch.setattr(kernel_attention, "causal_attention", lambda *of: asked.append(1) or causal_attention(*of))

    def found() -> list[Tensor]:
        model.zero_grad()
        hidden = model.hidden_states(model.embed(batch), batch)[:, :42]
        hidden.square().sum().backward()
        return [
            hidden.detach(),
            *(parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None),
        ]

    model.eval()
    ours = found()
    assert asked
    asked.clear()
    with monkeypatch.context() as patched:
        patched.setattr(kernel_attention, "suits", lambda *_: False)
        others = found()
    assert all((one - other).norm() <= 1e-4 * other.norm() for one, other in zip(ours, others, strict=True))
    model.train()  # with dropout there are none
    with torch.autocast("cpu", torch.bfloat16):
        found()
    found()
    assert not asked
