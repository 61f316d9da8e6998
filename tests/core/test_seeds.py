"""Names make numbers: always the same, and different for different names."""

from textwright.core.seeds import hash_u64


def test_a_hash_is_the_same_on_every_machine_and_keeps_types_and_borders_apart() -> None:
    assert hash_u64(1, "2") == 16712392783272067874
    assert len({hash_u64(1, "2"), hash_u64("1", 2), hash_u64("12"), hash_u64(12), hash_u64(1, 2)}) == 5
