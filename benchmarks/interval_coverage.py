"""How often 95 % intervals hold the truth, and tests of two systems that are alike say that they differ.

    python benchmarks/interval_coverage.py intervals [--runs 2000] [--figures bleu f1 macro-f1] [--sizes 50 500]
        [--json]
    python benchmarks/interval_coverage.py tests [--runs 10000] [--figures bleu f1] [--sizes 50 500] [--json]

The population is all real outputs of ``real_outputs.py``, and its figure is the truth. Samples are drawn from it with
replacement: outputs, or whole clusters of five (what five systems say of one input). For the tests, two systems' real
outputs for inputs that are drawn change sides with probability one half, in clusters as a whole; so neither is better.
"""

import argparse
import json
from collections.abc import Iterator

import numpy as np
from real_outputs import MEMBERS, Population, banking_macro_f1, e2e_bleu, sst2_f1
from scipy import special

from textwright.evaluation.statistics.intervals import interval_of
from textwright.evaluation.statistics.paired import bootstrap_p, randomisation_p
from textwright.evaluation.statistics.resampling import bootstrap_values, left_out_values

FIGURES = {"bleu": e2e_bleu, "f1": sst2_f1, "macro-f1": banking_macro_f1}
LEVEL, SIGNIFICANCE = 0.95, 0.05


def main() -> None:
    """Draw samples, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=["intervals", "tests"])
    parser.add_argument("--runs", type=int)
    parser.add_argument("--figures", nargs="+", choices=list(FIGURES), default=["bleu", "f1"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--num-resamples", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    measure, runs = (interval_rows, 2000) if arguments.what == "intervals" else (test_rows, 10_000)
    for name in arguments.figures:
        population = FIGURES[name]()
        for size in arguments.sizes:
            for is_clustered in (False, True):
                shares = measure(population, size, is_clustered, arguments.runs or runs, arguments.num_resamples)
                row = {"figure": population.name, "examples": size, "clustered": is_clustered} | shares
                if arguments.json:
                    print(json.dumps(row), flush=True)
                    continue
                kind = f"{population.name}, {size} examples{f' in clusters of {MEMBERS}' if is_clustered else ''}"
                print(f"{kind:50}", *(f"{key} {value:.3f}" for key, value in shares.items()), flush=True)


def interval_rows(
    population: Population, size: int, is_clustered: bool, runs: int, num_resamples: int
) -> dict[str, float]:
    """How often intervals hold the truth, by several ways to make them; ours is what Textwright does."""
    step = max(1, population.statistics.shape[1] // MEMBERS)
    members = population.statistics[:, ::step][:, :MEMBERS]
    units = members.sum(axis=1) if is_clustered else members.reshape(-1, members.shape[2])
    truth, rng = population.values(units.sum(axis=0))[0], np.random.default_rng(size)
    number = size // MEMBERS if is_clustered else size
    hits: dict[str, int] = {}
    for run in range(runs):
        sample = units[rng.integers(0, len(units), number)]
        point = population.values(sample.sum(axis=0))
        draws = bootstrap_values(sample, population.values, num_resamples, run)
        left_out = left_out_values(sample, population.values)
        ours = interval_of(draws, point, left_out, LEVEL)
        found = {"ours": (float(ours[0][0]), float(ours[1][0])), **others(draws[:, 0], float(point[0]), left_out[:, 0])}
        for name, (low, high) in found.items():
            hits[name] = hits.get(name, 0) + (low <= truth <= high)
    return {name: count / runs for name, count in hits.items()}


def others(draws: np.ndarray, point: float, left_out: np.ndarray) -> dict[str, tuple[float, float]]:
    """Intervals made in other ways."""
    number = len(left_out)
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    expanded = special.stdtrit(number - 1, tails) * np.sqrt(number / (number - 1))
    below = np.clip((np.sum(draws < point) + np.sum(draws == point) / 2) / len(draws), 0.001, 0.999)
    bias, moves = special.ndtri(below), left_out.mean() - left_out
    acceleration = np.sum(moves**3) / (6 * np.sum(moves**2) ** 1.5) if np.any(moves) else 0.0
    moved = bias + special.ndtri(tails)
    jackknife = np.sqrt((number - 1) / number * np.sum(moves**2))
    levels = {
        "percentile": tails,
        "expanded percentile": special.ndtr(expanded),
        "BCa": special.ndtr(bias + moved / (1 - acceleration * moved)),
    }
    found = {name: tuple(map(float, np.quantile(draws, level, method="weibull"))) for name, level in levels.items()}
    reach = special.stdtrit(number - 1, tails) * jackknife
    return found | {"jackknife t": (point + float(reach[0]), point + float(reach[1]))}


def test_rows(population: Population, size: int, is_clustered: bool, runs: int, num_resamples: int) -> dict[str, float]:
    """How often systems that are alike are said to differ."""
    alarms: dict[str, int] = {}
    k = population.statistics.shape[2]

    def difference_of(sums: np.ndarray) -> np.ndarray:
        return population.values(sums[..., k:]) - population.values(sums[..., :k])

    for run, (a, b) in enumerate(exchanged(population, size, is_clustered, runs)):
        both = np.concatenate([a, b], axis=1)
        difference = difference_of(both.sum(axis=0))
        draws = bootstrap_values(both, difference_of, num_resamples, run)
        low, high = interval_of(draws, difference, left_out_values(both, difference_of), LEVEL)
        found = {
            "randomisation": randomisation_p(a, b, population.values, num_resamples, run)[0] <= SIGNIFICANCE,
            "bootstrap": bootstrap_p(draws, difference, len(both))[0] <= SIGNIFICANCE,
            "interval without 0": low[0] > 0 or high[0] < 0,
        }
        for name, is_alarm in found.items():
            alarms[name] = alarms.get(name, 0) + bool(is_alarm)
    return {name: count / runs for name, count in alarms.items()}


def exchanged(
    population: Population, size: int, is_clustered: bool, runs: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples of two systems' outputs, sides changed by chance; a cluster is what some say beside what others say."""
    statistics, rng = population.statistics, np.random.default_rng(size)
    middle = statistics.shape[1] // 2
    members = min(MEMBERS, middle) if is_clustered else 1
    pair = [statistics[:, begin : begin + members].sum(axis=1) for begin in (middle - members, middle)]
    number = size // members
    for _ in range(runs):
        drawn, swapped = rng.integers(0, len(statistics), number), rng.random((number, 1)) < 0.5
        a, b = (one[drawn] for one in pair)
        yield np.where(swapped, b, a), np.where(swapped, a, b)


if __name__ == "__main__":
    main()
