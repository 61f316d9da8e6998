"""Numbers with their nouns."""


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 text``, ``2,000 texts``, ``3 blocks of bytes``.

    Args:
        number: how many.
        noun: what one of them is called; its first word takes an s where there are more.
    """
    first, space, rest = noun.partition(" ")
    return f"{number:,} {first}{'' if number == 1 else 's'}{space}{rest}"
