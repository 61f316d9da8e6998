"""``python -m textwright`` is ``textwright``."""

from textwright.cli import main

if __name__ == "__main__":
    main()
