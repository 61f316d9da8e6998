"""How texts are put together: a prompt ends without a space, and what follows begins with one.

So the words after a prompt are cut into the tokens that they have anywhere else in a text. Languages that are written
without spaces need none here either::

    A review.\\nLabel:| good            一条评论。\\n标签：|好评
"""

import re

SPACELESS = "[\u2e80-\u33ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
"""Of characters those of Chinese and Japanese, their punctuation, and wide forms."""


def one_line(text: str) -> str:
    """The text with one space for all white space between words."""
    return " ".join(text.split())


def is_spaceless(text: str) -> bool:
    """Whether a text is in a language that is written without spaces: whether any character of it is of one."""
    return re.search(SPACELESS, text) is not None


def after(prompt: str, text: str) -> str:
    """A text as it follows a prompt: with a space before it, unless a character on either side of that knows none."""
    return text if is_spaceless(prompt[-1:] + text[:1]) else f" {text}"


def spoken(name: str) -> str:
    """A name of a field or a label in words: ``familyFriendly`` and ``family_friendly`` as ``family friendly``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    return one_line(" ".join(word if word.isupper() else word[:1].lower() + word[1:] for word in words.split()))
