"""The table of metrics: name -> where its class is. A new one is a file and a row here."""

from pathlib import Path
from typing import TYPE_CHECKING

from textwright.core.catalog import Catalog
from textwright.core.errors import InputError

if TYPE_CHECKING:
    from textwright.evaluation.metrics.base import Metric

METRICS = Catalog(
    "metric",
    "textwright.metrics",
    {
        "accuracy": "textwright.evaluation.metrics.accuracy:Accuracy",
        "bleu": "textwright.evaluation.metrics.bleu:Bleu",
        "calibration_error": "textwright.evaluation.metrics.calibration:CalibrationError",
        "chrf": "textwright.evaluation.metrics.chrf:ChrF",
        "chrf++": "textwright.evaluation.metrics.chrf:ChrFPlusPlus",
        "clustering": "textwright.evaluation.metrics.clustering:Clustering",
        "coherence": "textwright.evaluation.metrics.coherence:Coherence",
        "copy_rate": "textwright.evaluation.metrics.copy_rate:CopyRate",
        "distinct_n": "textwright.evaluation.metrics.distinct_n:DistinctN",
        "edit_distance": "textwright.evaluation.metrics.edit_distance:EditDistance",
        "entity_f1": "textwright.evaluation.metrics.entity_f1:EntityF1",
        "f1": "textwright.evaluation.metrics.f1:F1",
        "fluency": "textwright.evaluation.metrics.fluency:Fluency",
        "length": "textwright.evaluation.metrics.length:Length",
        "meteor": "textwright.evaluation.metrics.meteor:MeteorOwnWords",
        "pass@k": "textwright.evaluation.metrics.pass_at_k:PassAtK",
        "perplexity": "textwright.evaluation.metrics.perplexity:Perplexity",
        "readability": "textwright.evaluation.metrics.readability:Readability",
        "relation_f1": "textwright.evaluation.metrics.relation_f1:RelationF1",
        "repetition": "textwright.evaluation.metrics.repetition:Repetition",
        "rouge": "textwright.evaluation.metrics.rouge:Rouge",
        "self_bleu": "textwright.evaluation.metrics.self_bleu:SelfBleu",
        "ter": "textwright.evaluation.metrics.ter:Ter",
    },
)


def find_metric(name: str) -> "Metric":
    """The metric of a name, with its usual settings; ``NAME=FILE`` gives it a file, such as ``meteor=meteor-1.5.jar``.

    Raises:
        InputError: there is none of that name, it needs a file and has none, or takes none and has one.
    """
    name, sign, file = name.partition("=")
    kind: type[Metric] = METRICS.load(name)
    if sign:
        return kind.with_file(Path(file).expanduser())
    if kind.file:
        raise InputError(f"the metric {name} alone", expected=f"it with {kind.file}", fix=f"write {name}=PATH")
    return kind()
