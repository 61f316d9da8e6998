"""Where the public data is that benchmarks use."""

import os
import sys
from pathlib import Path


def tinyshakespeare() -> Path:
    """The file of tinyshakespeare (karpathy/char-rnn)."""
    return public("tinyshakespeare/input.txt")


def public(name: str) -> Path:
    """A file or folder of the public data; ends the program with a line where it is missing."""
    folder = Path(os.environ.get("TEXTWRIGHT_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    path = folder / name
    if not path.exists():
        print(f"{path} is not there: set TEXTWRIGHT_DATA to a folder that has {name}", file=sys.stderr)
        sys.exit(2)
    return path
