"""Models by their Hugging Face name, with the ``hub`` extra."""

from pathlib import Path

from textwright.core.errors import InputError, nearest

PATTERNS = ["*.json", "*.safetensors", "merges.txt", "vocab.bpe", "vocab.txt", "chat_template.jinja"]
"""Tensors and text: nothing that could execute is fetched."""


def download(name: str) -> Path:
    """The folder of a model that has this name on the hub.

    Raises:
        InputError: it is the path of a folder rather than a name, the extra is not there, or the hub gives nothing.
    """
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise InputError(f"there is no model folder {name}", fix="check the path")
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise InputError(
            f"there is no model folder {name}",
            fix="check the path; to load a Hugging Face name, install the extra: pip install 'textwright[hub]'",
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=PATTERNS))
    except Exception as error:
        raise InputError(
            f"could not get {name!r}: {type(error).__name__}", fix="check the name and the network"
        ) from error


def check_is_no_typo(folder: Path) -> None:
    """See that what is not there may be a name on the hub: not a folder missing among others that are.

    Raises:
        InputError: it is such a folder.
    """
    parent = folder.parent
    if parent != Path() and parent.is_dir():
        close = nearest(folder.name, sorted(path.name for path in parent.iterdir() if path.is_dir()))
        fix = f"did you mean {parent / close}?" if close else "check the path"
        raise InputError(f"there is no model folder {folder}", fix=fix)
