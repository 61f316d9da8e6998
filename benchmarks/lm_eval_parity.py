"""What lm-eval finds with our model class beside what `textwright evaluate --suite gpt2` finds, item by item.

    python benchmarks/lm_eval_parity.py MODEL [--lambada FILE] [--wikitext FILE] [--limit N] [--hf] [--json]

lm-eval's own tasks (lambada_openai, wikitext) run on local files, without a network. With --hf its own class for
transformers runs too, on the same model folder. Needs the extra lm-eval.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import lm_eval
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from textwright.api.lm_eval_model import TextwrightLM
from textwright.evaluation.suite.detokenise import clean_as_lm_eval
from textwright.evaluation.suite.last_words import as_lm_eval, read_passages, word_scores
from textwright.evaluation.suite.wikitext import read_wikitext, rolling_nats

TOLERANCE_NATS = 1e-4
LAMBADA, WIKITEXT = "lambada/lambada_openai.yaml", "wikitext/wikitext.yaml"
Found = dict[str, list[tuple[float, bool]]]
"""Of each item nats, for each word where it is a whole article, and whether greedy decoding writes it."""


def main() -> None:
    """Compare, and fail where an item differs by more than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("--lambada", type=Path, help="lambada_test.jsonl")
    parser.add_argument("--wikitext", type=Path, help="wiki.test.raw or wiki.test.tokens")
    parser.add_argument("--limit", type=int, help="so many items of each task, the first ones")
    parser.add_argument("--hf", action="store_true", help="run lm-eval's own class for transformers too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    ours = TextwrightLM(str(arguments.model))
    passages = read_passages(arguments.lambada)[: arguments.limit] if arguments.lambada else []
    pages = read_wikitext(arguments.wikitext).pages()[: arguments.limit] if arguments.wikitext else []
    if not passages and not pages:
        sys.exit("nothing to compare: give --lambada or --wikitext")
    of_suite = by_suite(ours, passages, pages)
    models: dict[str, LM] = {"textwright": ours}
    if arguments.hf:
        from lm_eval.models.huggingface import HFLM

        models["hf"] = HFLM(pretrained=str(arguments.model), dtype="float32", device="cpu", batch_size=1)
    result: dict[str, Any] = {"tolerance_nats": TOLERANCE_NATS, "rows": []}
    for name, model in models.items():
        found, figures = by_lm_eval(model, passages, pages)
        result["rows"] += [compared(task, name, of_suite[task], found[task], figures[task]) for task in of_suite]
    show(result, as_json=arguments.json)
    if any(row["largest_difference_nats"] > TOLERANCE_NATS for row in result["rows"]):
        sys.exit(1)


def by_suite(ours: TextwrightLM, passages: list[str], pages: list[str]) -> Found:
    """Of each item the log-probability, and whether it is what greedy decoding writes, as the suite has them."""
    network, tokenizer, found = ours.model.network, ours.model.tokenizer, Found()
    if passages:
        texts = [as_lm_eval(tokenizer, text, network.context_length) for text in passages]
        scores = word_scores(network, texts, (), lambda _done: None)
        found["lambada_openai"] = [(-sum(one.nats), all(one.is_likeliest)) for one in scores]
    if pages:
        cleaned = [clean_as_lm_eval(page) for page in pages]
        nats = rolling_nats(network, tokenizer, cleaned, lambda _label, _total: lambda _done: None, "wikitext")
        found["wikitext"] = [(-one / len(page.split()), False) for one, page in zip(nats, pages, strict=True)]
    return found


def by_lm_eval(model: LM, passages: list[str], pages: list[str]) -> tuple[Found, dict[str, dict[str, float]]]:
    """The same by lm-eval's tasks, and its figures."""
    found, figures = Found(), dict[str, dict[str, float]]()
    rows = [(LAMBADA, "text", passages), (WIKITEXT, "page", pages)]
    with tempfile.TemporaryDirectory() as folder:
        tasks = [local_task(Path(folder), *row) for row in rows if row[-1]]
        manager = TaskManager(include_defaults=False)
        answer = lm_eval.simple_evaluate(model, tasks=tasks, task_manager=manager, bootstrap_iters=0)
    for task, samples in answer["samples"].items():
        in_order = sorted(samples, key=lambda sample: sample["doc_id"])
        found[task] = [_first_answer(sample) for sample in in_order]
        figures[task] = {
            name.removesuffix(",none"): value for name, value in answer["results"][task].items() if ",none" in name
        }
    return found, figures


def local_task(folder: Path, task: str, field: str, texts: list[str]) -> ConfigurableTask:
    """lm-eval's own task, on texts of ours."""
    path = Path(task)
    file = folder / f"{path.stem}.jsonl"
    file.write_text("".join(json.dumps({field: text}) + "\n" for text in texts), encoding="utf-8")
    config = load_yaml(Path(lm_eval.__file__).parent / "tasks" / path, resolve_func=True)
    data = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(file)}}}
    splits = {"training_split": None, "validation_split": None, "test_split": "test"}
    return ConfigurableTask(config={**config, **data, **splits, "tag": None})


def _first_answer(sample: dict[str, Any]) -> tuple[float, bool]:
    answer = sample["resps"][0][0]
    if isinstance(answer, list | tuple):
        return float(answer[0]), bool(answer[1])
    return float(answer) / len(sample["doc"]["page"].split()), False


def compared(
    task: str, name: str, suite: list[tuple[float, bool]], found: list[tuple[float, bool]], figures: dict[str, float]
) -> dict[str, Any]:
    """How far the items of a task lie apart."""
    pairs = list(zip(suite, found, strict=True))
    return {
        "task": task,
        "lm_eval_model": name,
        "num_items": len(pairs),
        "largest_difference_nats": max(abs(one[0] - other[0]) for one, other in pairs),
        "num_greedy_differ": sum(one[1] != other[1] for one, other in pairs),
        "figures": {name: value for name, value in figures.items() if isinstance(value, float)},
    }


def show(result: dict[str, Any], *, as_json: bool) -> None:
    """Print a line a task and model."""
    if as_json:
        print(json.dumps(result))
        return
    for row in result["rows"]:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in row["figures"].items() if "stderr" not in name)
        print(
            f"{row['task']:15} lm-eval with {row['lm_eval_model']:11} {row['num_items']:6,} items, largest difference "
            f"{row['largest_difference_nats']:.2e} nats, {row['num_greedy_differ']} judged otherwise; {figures}"
        )


if __name__ == "__main__":
    main()
