#!/usr/bin/env bash
# tokenizers 0.23.3, Tokenizer.from_str and add_tokens, seen on 2026-11-28 (Linux, x86-64, Python 3.11):
#
# Added tokens are normalized by default: they are looked for in the normalised text, as they themselves are when they
# are normalised. Two of them that differ only in what a normalizer takes away, such as the case, are both kept, each
# with its id. Which of the two ids the text then gets is drawn anew each time the same file is loaded: within a program
# and between programs. One tokenizer.json gives several encodings, without an error or a warning.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from collections import Counter

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers

made = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
made.normalizer = normalizers.Lowercase()
made.add_tokens([AddedToken("name"), AddedToken("NAME")])
content = made.to_str()

loaded = Counter(Tokenizer.from_str(content).encode("name").ids[0] for _ in range(200))
one = Tokenizer.from_str(content)
same = Counter(one.encode("name").ids[0] for _ in range(200))
print(f"tokenizers {tokenizers.__version__}")
print(f"ids of 'name' by 200 tokenizers of one file: {sorted(loaded)}; by one of them, 200 times: {len(same)} id")
sys.exit(not (sorted(loaded) == [2, 3] and len(same) == 1))
PYTHON
# Output:
# tokenizers 0.23.3
# ids of 'name' by 200 tokenizers of one file: [2, 3]; by one of them, 200 times: 1 id
