"""What the documents say is so: commands parse, links lead somewhere, the twin says the same, the tree is the tree."""

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from textwright.cli import GROUPS, VERBS, build_app

Blocks = Callable[[Path, str], list[str]]
Commands = Callable[[Path], list[str]]


def prose(document: Path) -> str:
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(document: Path) -> set[str]:
    """What ``#...`` may follow the document's name: its headings as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", prose(document), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def internal_links(document: Path) -> list[str]:
    links: list[str] = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    return [link for link in links if not link.startswith(("http://", "https://"))]


def test_the_chinese_readme_has_the_same_commands_code_and_links(
    root: Path, commands: Commands, code_blocks: Blocks
) -> None:
    english, chinese = root / "README.md", root / "README.zh-CN.md"
    assert commands(chinese) == commands(english)

    def code(document: Path) -> list[str]:
        return [re.sub(r"\s*#.*", "", block) for block in code_blocks(document, "python")]

    def names_in_pictures(document: Path) -> list[str]:
        return re.findall(r"(?m)--[\w ]+-->|^ *[a-z]+/|^ *[a-z]+\.py", "\n".join(code_blocks(document, "text")))

    assert code(chinese) == code(english)
    assert names_in_pictures(chinese) == names_in_pictures(english)

    def places(document: Path) -> list[str]:
        return sorted(link.split("#")[0] for link in internal_links(document) if not link.startswith("README"))

    assert places(chinese) == places(english)
    assert len(re.findall(r"^#+ ", prose(chinese), flags=re.M)) == len(re.findall(r"^#+ ", prose(english), flags=re.M))


def test_every_command_shown_parses_against_the_command_line(documents: list[Path], commands: Commands) -> None:
    seen = 0
    for document in documents:
        for line in commands(document):
            words = shlex.split(line)
            if words[0] == "textwright":
                _parse(words[1:], line)
                seen += 1
    assert seen >= 10


def _parse(words: list[str], line: str) -> None:
    if words in (["--version"], ["--help"]):
        return
    _, _, unused = build_app().parse_args(words, print_error=False, exit_on_error=False)[:3]
    assert not unused, f"{line!r}: nothing takes {unused}"


def test_a_wrong_option_in_a_document_would_be_noticed() -> None:
    with pytest.raises(CycloptsError):
        _parse(["generate", "MODEL", "prompt", "--max-new-tokenz", "3"], "a mistyped option")


def test_verbs_and_make_targets_named_in_the_text_exist(root: Path, documents: list[Path], commands: Commands) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    for document in documents:
        text = prose(document) + "".join(f"`{line}`" for line in commands(document))
        for words in re.findall(r"`textwright ([a-z][a-z-]*(?: [a-z]+)*)", text):
            verb, _, inner = words.strip().partition(" ")
            assert any(name.split(" ")[0] == verb for name in VERBS), f"{document.name}: textwright {words}"
            if verb in GROUPS and inner:
                assert f"{verb} {inner.split(' ')[0]}" in VERBS, f"{document.name}: textwright {words}"
        for target in re.findall(r"`make ([a-z]+)", text):
            assert target in targets, f"{document.name}: make {target}"


def test_the_readme_lists_every_verb(root: Path) -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = prose(root / name)
        assert [verb for verb in VERBS if f"`{verb}`" not in text] == []


def test_links_lead_somewhere(documents: list[Path]) -> None:
    for document in documents:
        for link in internal_links(document):
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{document.name} links to {link}"
            if anchor:
                assert anchor in anchors(target), f"{document.name} links to {link}, headings there: {anchors(target)}"


def test_files_named_in_the_text_exist(root: Path, documents: list[Path]) -> None:
    for document in documents:
        for name in re.findall(r"`((?:[\w.-]+/)*\w+\.(?:py|toml|txt|md|yml))`", prose(document)):
            folders = (root, root / "src" / "textwright", root / "docs", document.parent)
            made_by_a_run = name in {"config.toml"} or name.startswith(("runs/", "texts/", "unseen/", "prompts."))
            foreign = document.name == "gpt2.md"
            assert made_by_a_run or foreign or any((folder / name).exists() for folder in folders), (
                f"{document.name}: {name}"
            )


def test_no_document_knows_a_machine(documents: list[Path]) -> None:
    for document in documents:
        found = re.findall(
            r"(?<![\w.~/:])/(?:home|root|work|tmp|Users|usr|opt|mnt|var)/\S*", document.read_text(encoding="utf-8")
        )
        assert not found, f"{document.name}: {found}"


def test_the_tree_in_the_readme_has_one_line_per_folder(root: Path, code_blocks: Blocks) -> None:
    package = root / "src" / "textwright"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    for name in ("README.md", "README.zh-CN.md"):
        tree = next(block for block in code_blocks(root / name, "text") if block.startswith("src/textwright/"))
        shown = re.findall(r"^    (\w+)/ ", tree, flags=re.M)
        assert len(shown) == len(set(shown))
        assert set(shown) == folders, f"{name} and src/textwright differ by {set(shown) ^ folders}"


def test_the_order_in_the_readme_is_the_order_that_is_checked(root: Path, code_blocks: Blocks) -> None:
    contract = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    layers = [re.findall(r"\w+", line) for line in reversed(contract["layers"])]
    rank = {name: place for place, names in enumerate(layers) for name in names}
    tree = next(block for block in code_blocks(root / "README.md", "text") if block.startswith("src/textwright/"))
    ranks = [rank[name] for name in re.findall(r"^    (\w+)(?:/| |\.py)", tree, flags=re.M)]
    assert ranks == sorted(ranks)


def test_methods_named_in_the_text_are_there(documents: list[Path]) -> None:
    from textwright.api import Model

    for document in documents:
        for name in re.findall(r"`model\.(\w+)\(", prose(document)):
            assert callable(getattr(Model, name, None)), f"{document.name}: model.{name}"


def test_parameter_counts_in_the_gpt2_document_are_the_presets(root: Path) -> None:
    import torch

    from textwright.models.catalog import build
    from textwright.models.presets import preset

    text = (root / "docs" / "gpt2.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \| ([\d,]+) \|", text, flags=re.M)
    assert [row[0] for row in rows] == ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt1"]
    for name, layers, width, heads, parameters, without_embeddings in rows:
        config = preset(name, vocab_size=40478 if name == "gpt1" else 50257)
        assert (config.num_layers, config.hidden_size, config.num_heads) == (int(layers), int(width), int(heads))
        with torch.device("meta"):
            model = build(config)
        counts = {key: value.numel() for key, value in model.named_parameters()}
        embeddings = counts["token_embedding.weight"] + counts["position_embedding.weight"]
        assert f"{sum(counts.values()):,}" == parameters
        assert f"{sum(counts.values()) - embeddings:,}" == without_embeddings
