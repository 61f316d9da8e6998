#!/usr/bin/env bash
# tokenizers 0.23.3, Tokenizer.from_str, seen on 2026-11-28 (Linux, x86-64, Python 3.11):
#
# 1. The id that tokenizer.json gives an added token which is not in the vocabulary counts for nothing: the token gets
#    the next free one, without an error.
# 2. The ByteLevel decoder takes an added token's letters for bytes where all of them are in GPT-2's alphabet of bytes:
#    the added token "naïve" is decoded as "na", U+FFFD, "ve"; "日", whose letter is none of them, as itself.
# 3. With encode_special_tokens a special token in a text is text; but one that a Unigram model has among its pieces is
#    found all the same, in the midst of it.
# 4. The ByteFallback decoder writes U+FFFD for every byte of a run of bytes of which one fits nothing, and with it for
#    those that are whole characters.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
import sys

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def added(token_id, content, *, special=False):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": content, "special": special} | flags


def with_added(tokenizer, *rows):
    return Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"added_tokens": list(rows)}))


print(f"tokenizers {tokenizers.__version__}")
bytes_of = Tokenizer(models.BPE({letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
bytes_of.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bytes_of.decoder = decoders.ByteLevel()

late = with_added(bytes_of, added(1000, "<late>"))
got = late.encode("<late>").ids
print(f"an added token with the id 1000 beside 256 others: {got}")

letters = with_added(bytes_of, added(256, "naïve"), added(257, "日"))
decoded = [letters.decode([letters.token_to_id(token)]) for token in ("naïve", "日")]
print(f"added tokens naïve, 日 are decoded as {decoded}")

unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("<end>", -1.0)], 0, False))
unigram = with_added(unigram, added(3, "<end>", special=True))
unigram.encode_special_tokens = True
found = unigram.encode("a<end>b").tokens
print(f"'a<end>b' as text, where a Unigram model has the special token among its pieces: {found}")

fallback = decoders.ByteFallback().decode(["<0xE6>", "<0x97>", "<0xA5>", "<0xFF>"])
alone = decoders.ByteFallback().decode(["<0xE6>", "<0x97>", "<0xA5>"])
print(f"the bytes of 日: {alone!r}; the same and a byte that fits nothing: {fallback!r}")

is_so = [
    got == [256],
    decoded == ["na\ufffdve", "日"],
    "<end>" in found,
    alone == "日" and fallback == "\ufffd" * 4,
]
sys.exit(not all(is_so))
PYTHON
# Output:
# tokenizers 0.23.3
# an added token with the id 1000 beside 256 others: [256]
# added tokens naïve, 日 are decoded as ['na�ve', '日']
# 'a<end>b' as text, where a Unigram model has the special token among its pieces: ['a', '<end>', 'b']
# the bytes of 日: '日'; the same and a byte that fits nothing: '����'
