"""Where the public text is that benchmarks train on."""

import os
import sys
from pathlib import Path


def tinyshakespeare() -> Path:
    """The file of tinyshakespeare (karpathy/char-rnn); ends the program with a line where it is missing."""
    folder = Path(os.environ.get("TEXTWRIGHT_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    path = folder / "tinyshakespeare" / "input.txt"
    if not path.exists():
        print(
            f"{path} is not there: set TEXTWRIGHT_DATA to a folder that has tinyshakespeare/input.txt", file=sys.stderr
        )
        sys.exit(2)
    return path
