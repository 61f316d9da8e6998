"""Whether texts are what was asked for with ``generate --control``: a classifier of real texts says.

    python benchmarks/control_codes.py BASE_RUN FOLDER [--data yelp captions] [--write docs/finetuning.md]

The model of BASE_RUN is fine-tuned with ``--control`` on texts of two kinds, and writes so many of each. The classifier
(word and word-pair frequencies, logistic regression) has learned from other real texts of the same data, and is put to
a third part of them too. Beside the model stands its base, which has the same line as a prompt. Texts that stand word
for word in what was learned are counted. Models that are there stay: call it again, and it goes on. A finished data set
is a line of benchmarks/results/control-codes.jsonl; --write puts them into the document.
"""

import argparse
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kept_runs import finished, keep, trained, write_between
from public_text import public
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from textwright.api.model import load
from textwright.core.device import processor_name
from textwright.core.files import sha256_file
from textwright.core.seeds import hash_u64
from textwright.data.control import form_for
from textwright.evaluation.statistics.intervals import bootstrap_interval

NAME, FIELD = "control-codes", "style"
NUM_TEXTS, MOST_TOKENS = 500, 40
"""Of each style; of each text."""
FINE_TUNING = ("--learning-rate", "0.001", "--batch-size", "8", "--precision", "float32", "--seed", "0")


@dataclass(frozen=True)
class StyledData:
    """Texts of two styles."""

    styles: tuple[str, str]
    learned: str
    """Files, ``{}`` being 0 or 1: of these the model learns all but what is for the classifier."""
    num_for_classifier: int
    """Of each style, of those."""
    test: str
    """Files of real texts by which the classifier is judged."""
    steps: int


DATA = {
    "yelp": StyledData(
        ("negative", "positive"),
        "style-yelp/train-from-other-release/sentiment.test.{}.gz",
        7_000,
        "style-yelp/sentiment.test.{}",
        500,
    ),
    "captions": StyledData(
        ("humorous", "romantic"),
        "style-captions/sentiment.train.{}",
        2_500,
        "style-captions/sentiment.dev.{}",  # its test part is captions of no style
        250,
    ),
}


def main() -> None:
    """Make the data sets that are not done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", type=Path, help="the run of the base")
    parser.add_argument("folder", type=Path, help="where texts and runs are kept")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    base = options.base / "model"
    head = {"base_sha256": sha256_file(base / "model.safetensors"), "processor": processor_name()}
    for name in options.data:
        if name not in finished(NAME, head):
            row = {"row": name} | head | measured(DATA[name], base, options.folder / name)
            keep(NAME, row)
            print("\n".join(table({name: row})), flush=True)
    if options.write:
        write_between(options.write, NAME, table(finished(NAME, head)))


def measured(data: StyledData, base: Path, folder: Path) -> dict[str, Any]:
    """The model of a data set, what it and its base write, and what the classifier says of it."""
    folder.mkdir(parents=True, exist_ok=True)
    learned, known = parts_of(data)
    pairs = [(text, style) for style, texts in zip(data.styles, learned, strict=True) for text in texts]
    rows = folder / "learned.jsonl"
    rows.write_text("".join(json.dumps({"text": text, FIELD: style}) + "\n" for text, style in pairs))
    how = ["--data", str(rows), "--control", FIELD, "--steps", str(data.steps), *FINE_TUNING]
    model = trained(folder / "run", "finetune", str(base), *how)
    classifier = taught(known)
    test = [lines(public(data.test.format(number))) for number in (0, 1)]
    written = {"the model": texts_of(model, data.styles, is_told=True)}
    written["base"] = texts_of(base, data.styles, is_told=False)
    (folder / "written.json").write_text(json.dumps(written, indent=1, ensure_ascii=False))
    seen = {text for text, _ in pairs}
    return {
        "model_sha256": sha256_file(model / "model.safetensors"),
        "styles": list(data.styles),
        "steps": data.steps,
        "learned": len(pairs),
        "classifier_read": sum(map(len, known)),
        "recognised": {name: recognised(classifier, texts) for name, texts in ({"real texts": test} | written).items()},
        "copied": {name: share([text in seen for some in texts for text in some]) for name, texts in written.items()},
    }


def parts_of(data: StyledData) -> tuple[list[list[str]], list[list[str]]]:
    """What the model learns, and what the classifier does, of each style; a text is in one of them."""
    test = {text for number in (0, 1) for text in lines(public(data.test.format(number)))}
    learned, known = [], []
    for number in (0, 1):
        all_texts = [text for text in dict.fromkeys(lines(public(data.learned.format(number)))) if text not in test]
        all_texts.sort(key=lambda text: hash_u64("control codes", text))
        known.append(all_texts[: data.num_for_classifier])
        learned.append(all_texts[data.num_for_classifier :])
    return learned, known


def lines(path: Path) -> list[str]:
    """The lines of a file that have something in them."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [line.strip() for line in content.decode(errors="replace").splitlines() if line.strip()]


def taught(known: Sequence[Sequence[str]]) -> Pipeline:
    """A classifier of texts of style 0 and 1."""
    texts = [text for some in known for text in some]
    labels = [number for number, some in enumerate(known) for _ in some]
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\S+", sublinear_tf=True)
    return make_pipeline(vectors, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)


def texts_of(folder: Path, styles: Sequence[str], *, is_told: bool) -> list[list[str]]:
    """What a model writes, asked for each style: as it learned to be asked, or by the same line as a prompt."""
    model = load(folder, device="cpu")
    how: dict[str, Any] = {"n": NUM_TEXTS, "max_new_tokens": MOST_TOKENS, "stop": ("\n",)}
    how |= {"temperature": 1.0, "seed": 0}
    found = []
    for style in styles:
        header = form_for(FIELD).replace("{value}", style)
        done = model.complete([""], control=style, **how) if is_told else model.complete([header], **how)
        found.append([one.text.strip() for one in done])
    return found


def recognised(classifier: Pipeline, texts: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The share of texts that the classifier finds to be of their style, of both and of each."""
    right = [list(classifier.predict(some) == number) for number, some in enumerate(texts)]
    return share([one for some in right for one in some]) | {"each": [share(some) for some in right]}


def share(right: Sequence[bool]) -> dict[str, Any]:
    """How many are right, with an interval."""
    statistics = np.stack([np.array(right, dtype=np.float64), np.ones(len(right))], axis=1)
    low, high = bootstrap_interval(statistics, lambda sums: sums[..., :1] / sums[..., 1:])
    return {"value": float(np.mean(right)), "low": float(low[0]), "high": float(high[0]), "n": len(right)}


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The lines of the table."""
    found = ["| data | texts | recognised | the first style | the second | copies |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        for who, figure in row["recognised"].items():
            copied = f"{row['copied'][who]['value']:.1%}" if who in row["copied"] else ""
            cells = [name, f"{who}, {figure['n']:,}", *map(in_words, [figure, *figure["each"]]), copied]
            found.append(f"| {' | '.join(cells)} |")
    for name, row in rows.items():
        styles, counts = " and ".join(row["styles"]), f"{row['learned']:,} texts, {row['steps']} steps"
        base = f"base {row['base_sha256'][:12]}"
        found += ["", f"{name}: {styles}; {counts}; {row['processor']}, {base}."]
    return found


def in_words(figure: dict[str, Any]) -> str:
    """A share with its interval."""
    return f"{figure['value']:.1%} ({figure['low']:.1%} to {figure['high']:.1%})"


if __name__ == "__main__":
    main()
