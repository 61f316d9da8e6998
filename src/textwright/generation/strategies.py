"""The table of strategies: how tokens are chosen."""

from textwright.generation.decoding import Decoding
from textwright.generation.request import Strategy
from textwright.generation.search.beam import BeamSearch
from textwright.generation.search.contrastive import ContrastiveSearch
from textwright.generation.search.sample import Sampling

# ``SamplingConfig.strategy`` names one.
STRATEGIES: dict[Strategy, type[Decoding]] = {
    "sample": Sampling,
    "beams": BeamSearch,
    "contrastive": ContrastiveSearch,
}
