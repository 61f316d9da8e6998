"""WikiText's lines as plain text: by rules that can be undone, and by lm-eval's, which cannot.

::

    " He said , " It 's 1 @,@ 000 @.@ 5 " . "  --detokenise-->  'He said, "It's 1,000.5".'  --tokenise-->  the same line

A text that can be turned back is as likely as the tokens it was made of, so its loss may be counted for each of them.
Each rule is checked on each line: where undoing all of them would not give the line back, that rule is left out there.
"""

import re
from collections.abc import Callable
from re import Match

Replacement = str | Callable[[Match[str]], str]
Rule = tuple[re.Pattern[str], str]

_ABBREVIATIONS = (
    "Adm Ave Bros Brig Capt Cf Cmdr Co Col Corp Cpl Dr Ed Esq Ft Gen Gov Hon Inc Jr Lt Ltd Maj Messrs Mr Mrs Ms Mt No "
    "Nos Op Ph.D pp Prof Rev Rep Sen Sgt Sr St Ste Vol al cf ed etc feat ft var vs v c ca i.e e.g a.m p.m"
)
"""What ends in a full stop that is a part of it."""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
_INITIALS = re.compile(r"(?:\w\.)*[A-Z]")

_FORWARD: tuple[Rule, ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\S) @([-,.])@ (?=\S)", r"\1"),
        (r"= (?==)", "="),
        (r"(?<=\S) ([,;:.!?])(?= |$)", r"\1"),
        (r"([(\[]) (?=\S)", r"\1"),
        (r"(?<=\S) ([)\]])", r"\1"),
        (r'(?<!\S)" ([^"]*\S) "(?![\w"])', r'"\1"'),
        (r"(?<=\w) '(s|t|re|ve|ll|d|m)(?!\w)", r"'\1"),
        (r"(?<=\d) %", "%"),
        (r"(?<!\S)([$£€]) (?=\d)", r"\1"),
    )
)
"""In this order. Each takes spaces away that only tokens have between them."""


def _with_space_before_full_stop(match: Match[str]) -> str:
    word = match[1]
    return match[0] if word in ABBREVIATIONS or _INITIALS.fullmatch(word) else f"{word} ."


_BACK: tuple[tuple[re.Pattern[str], Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"=(?==)", "= "),
        (r'(?<![^\s(\[])"(?=\S)', '" '),
        (r'(?<=\S)"(?=[\s.,;:!?)\]]|$)', ' "'),
        (r"([(\[])(?=\S)", r"\1 "),
        (r"(?<=\S)([)\]])", r" \1"),
        (r'(?<=[")\]%])(?=[.,;:!?](?:\s|$))', " "),
        (r"(?<=\w)'(s|t|re|ve|ll|d|m)(?=[\s.,;:!?)\]]|$)", r" '\1"),
        (r"(?<=\d)%", " %"),
        (r"(?<!\S)([$£€])(?=\d)", r"\1 "),
        (r"(?<=\S)([,;:!?])(?=\s|$)", r" \1"),
        (r"(?<!\S)(\S*[^\s.])\.(?=\s|$)", _with_space_before_full_stop),
        (r"(?<=[^\s@])-(?=[^\s@])", " @-@ "),
        (r"(?<=\d)([,.])(?=\d)", r" @\1@ "),
    )
)
"""What undoes all of them, in this order."""


def detokenise(line: str) -> str:
    """A line of WikiText, without its end, as plain text; as it is where that could not be undone."""
    if tokenise(line) != line:
        return line
    body = line.strip()
    whole = body
    for pattern, replacement in _FORWARD:
        whole = pattern.sub(replacement, whole)
    if tokenise(whole) == line:
        return whole
    for rule in _FORWARD:
        body = _as_far_as_it_goes(rule, body, line)
    return body


def tokenise(text: str) -> str:
    """The line that plain text was made of."""
    body = text.strip()
    for pattern, replacement in _BACK:
        body = pattern.sub(replacement, body)
    return f" {body} " if body else " "


def _as_far_as_it_goes(rule: Rule, text: str, line: str) -> str:
    """A rule wherever it can be undone."""
    pattern, replacement = rule
    changed = pattern.sub(replacement, text)
    if tokenise(changed) == line:
        return changed
    for match in reversed(list(pattern.finditer(text))):
        one = text[: match.start()] + match.expand(replacement) + text[match.end() :]
        if tokenise(one) == line:
            text = one
    return text


_LM_EVAL: tuple[tuple[str, str, bool], ...] = (
    ("s '", "s'", False),
    (r"/' [0-9]/", r"/'[0-9]/", True),
    *((f" @{mark}@ ", mark, False) for mark in "-,."),
    *((f" {mark} ", f"{mark} ", False) for mark in ":;.!?,"),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)", True),
    (r"\[\s*([^\]]*?)\s*\]", r"[\1]", True),
    (r"{\s*([^}]*?)\s*}", r"{\1}", True),
    (r"\"\s*([^\"]*?)\s*\"", r'"\1"', True),
    (r"'\s*([^']*?)\s*'", r"'\1'", True),
    *(("= " * count + "=", "=" * (count + 1), False) for count in (3, 2, 1)),
    (" \N{DEGREE SIGN} ", "\N{DEGREE SIGN}", False),
    (" \n", "\n", False),
    ("\n ", "\n", False),
    (" N ", " 1 ", False),
    (" 's", "'s", False),
)
"""(what is looked for, what stands in its place, whether it is a pattern), in lm-eval's order. The second finds what
nobody writes, and " N " is a number in the Penn Treebank only: they are lm-eval's, and its figures depend on them."""


def clean_as_lm_eval(page: str) -> str:
    """An article as lm-eval's task ``wikitext`` (version 2) reads it. It cannot be undone."""
    for pattern, replacement, is_pattern in _LM_EVAL:
        page = re.sub(pattern, replacement, page) if is_pattern else page.replace(pattern, replacement)
    return page
