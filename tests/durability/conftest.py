"""One harness for all tests here."""

from collections.abc import Iterator

import pytest

from tests.durability.laboratory import Laboratory, build_shim


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A laboratory; skipped where no C compiler can make the shim and the model's kernels."""
    folder = tmp_path_factory.mktemp("durability")
    shim = build_shim(folder)
    if shim is None:
        pytest.skip("needs a C compiler, for the shim that kills at a chosen act")
    with Laboratory(folder, shim) as laboratory:
        yield laboratory
