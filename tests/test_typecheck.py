"""Calls under test are checked: a wrong type, a wrong shape, and a size that is two sizes in one call are refused."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from tests.typecheck import EVERY, FIRST_CALLS, begin_test, checked
from textwright.core.errors import InputError
from textwright.data.batch import Batch


def plain(number: float, names: list[str]) -> str:
    return names[0] if number else None  # type: ignore[return-value]


def shaped(x: Float[Tensor, "rows time"], y: Float[Tensor, "rows"], *more: Float[Tensor, "time"]) -> Any:
    return x.T @ y + sum(more)


def nested(*, pair: tuple[Float[Tensor, "rows"], Float[Tensor, "rows"] | None]) -> Float[Tensor, "rows 2"]:
    return torch.stack(pair) if pair[1] is not None else pair[0].expand(2, -1).T  # type: ignore[arg-type]


def counted(number: int) -> Iterator[int]:
    yield from range(number)


@dataclasses.dataclass
class Sized:
    rows: int
    values: Float[Tensor, "rows"]

    @classmethod
    @checked
    def make(cls, number: int) -> "Sized":
        return cls(number, torch.zeros(number))

    @checked
    def itself(self, number: int) -> Self:
        return self


@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        (plain, (1, ["a"]), [("1", ["a"]), (1.0, [b"a"]), (0.5, "a")]),
        (
            shaped,
            (torch.zeros(2, 3), torch.zeros(2), torch.zeros(3)),
            [
                (torch.zeros(2, 3), torch.zeros(3)),
                (torch.zeros(2, 3), torch.zeros(2), torch.zeros(3), torch.zeros(2)),
                (torch.zeros(2, 3, 1), torch.zeros(2)),
                (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2)),
            ],
        ),
        (counted, (2,), [("2",)]),
        (Sized.make, (2,), [("2",)]),
        (checked(Sized), (2, torch.zeros(2)), [("2", torch.zeros(2)), (2, torch.zeros(2, 2)), (2, None)]),
    ],
)
def test_what_is_wrong_is_refused(
    function: Callable[..., Any], right: tuple[object, ...], wrong: list[tuple[object, ...]]
) -> None:
    tried = checked(function) if not isinstance(function, type) else function
    tried(*right)
    for arguments in wrong:
        with pytest.raises(TypeCheckError):
            tried(*arguments)


def test_results_are_checked_with_the_sizes_of_the_arguments() -> None:
    rows = torch.zeros(3)
    assert checked(nested)(pair=(rows, None)).shape == (3, 2)
    with pytest.raises(TypeCheckError):
        checked(nested)(pair=(rows, rows))  # 2 x 3
    with pytest.raises(TypeCheckError):
        checked(nested)(pair=(rows, torch.zeros(2)))
    with pytest.raises(TypeCheckError):
        checked(plain)(0, ["a"])


def test_a_test_has_its_first_calls_checked_and_some_later_ones() -> None:
    tried, refused = checked(plain), list[int]()
    for _ in range(2):
        begin_test()
        for number in range(1, 2 * EVERY + 1):
            try:
                tried(1, [b"a"])
            except TypeCheckError:
                refused.append(number)
    assert refused == [*range(1, FIRST_CALLS + 1), EVERY, 2 * EVERY] * 2


def test_what_cannot_be_followed_is_let_through() -> None:
    assert Sized(1, torch.zeros(1)).itself("2").rows == 1  # type: ignore[arg-type]


def test_textwright_is_checked() -> None:
    with pytest.raises(TypeCheckError):
        Batch.from_ids(torch.zeros(4, 17))
    with pytest.raises(TypeCheckError):
        InputError(3)  # type: ignore[arg-type]
