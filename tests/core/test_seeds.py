"""Names make numbers: always the same, and different for different names."""

from textwright.core.seeds import generator, hash_u64


def test_a_hash_is_the_same_on_every_machine_and_keeps_types_and_borders_apart() -> None:
    assert hash_u64(1, "2") == hash_u64(1, "2")
    assert len({hash_u64(1, "2"), hash_u64("1", 2), hash_u64("12"), hash_u64(12), hash_u64(1, 2)}) == 5


def test_a_generator_depends_on_its_parts_alone() -> None:
    assert generator(7, "a").integers(1 << 62) == generator(7, "a").integers(1 << 62)
    assert generator(7, "a").integers(1 << 62) != generator(7, "b").integers(1 << 62)
