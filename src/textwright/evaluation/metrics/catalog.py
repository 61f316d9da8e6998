"""The table of metrics: name -> where its class is. A new one is a file and a row here."""

from typing import TYPE_CHECKING

from textwright.core.catalog import Catalog

if TYPE_CHECKING:
    from textwright.evaluation.metrics.base import Metric

METRICS = Catalog(
    "metric",
    "textwright.metrics",
    {
        "meteor": "textwright.evaluation.metrics.meteor:MeteorOwnWords",
    },
)


def find_metric(name: str) -> "Metric":
    """The metric of a name, with its usual settings.

    Raises:
        InputError: there is none of that name.
    """
    found: Metric = METRICS.load(name)()
    return found
