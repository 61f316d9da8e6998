"""A model's weights: whether they have changed, how they lie in memory, and what was made of them to decode with."""

import threading

from textwright.checkpoint.model_files import ModelFiles
from textwright.checkpoint.stored_weights import lay_by_rows
from textwright.core.console import stderr_console
from textwright.engines.catalog import choose_decoding_precision, choose_engine, make_decoder
from textwright.engines.config import DecodingPrecision, EngineConfig
from textwright.engines.cpu.kernels import COMPILING, are_compiled
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Decoder

_Places = tuple[tuple[int, int], ...]
"""Where each parameter is, and how often torch saw it change."""
Version = tuple[int, _Places]
"""And how many changes were declared."""


class Weights:
    """Of one model.

    Attributes:
        network: the torch module, whose matrices may still lie as its file has them.
        num_changes: how many were declared.
    """

    def __init__(self, network: LanguageModel) -> None:
        self.network = network
        self._lies_by_rows = all(parameter.is_contiguous() for parameter in network.parameters())
        self._moved: tuple[_Places, _Places] | None = None
        self.num_changes = 0
        self._moving = threading.RLock()  # a model is hashed in a thread beside other work
        self._fast_precisions: dict[str, DecodingPrecision] = {}
        self._decoders: dict[tuple[str, str], tuple[Version, Decoder]] = {}

    @property
    def version(self) -> Version:
        """Another value once they have changed: what was declared, and what torch tells of."""
        with self._moving:
            places = self._places()
            if self._moved is not None and places == self._moved[1]:
                places = self._moved[0]
            return self.num_changes, places

    def changed(self) -> None:
        """Say that they have, where torch does not tell."""
        self.num_changes += 1
        self._decoders.clear()

    def by_rows(self) -> LanguageModel:
        """The network, its matrices row by row in memory: those that its file has the other way round are copied at the
        first time. Our kernels read such a file as it is, so what only decodes by them is spared that."""
        with self._moving:
            if not self._lies_by_rows:
                before = self._places()
                lay_by_rows(self.network)
                self._lies_by_rows, self._moved = True, (before, self._places())
        return self.network

    def decoder(self, engine: EngineConfig, files: ModelFiles | None) -> Decoder:
        """What decodes the model: made once for each engine and precision, and anew when the weights have changed.

        Args:
            engine: what computes, and how exactly.
            files: what the model was read from, if it is still as it was read.
        """
        name = choose_engine(self.network, engine)
        network = self.network if name == "cpu" else self.by_rows()
        version, precision = self.version, self._precision(name, engine)
        kept = self._decoders.get((name, precision))
        if kept is None or kept[0] != version:
            if name == "cpu" and not are_compiled():
                stderr_console().print(COMPILING)
            kept = (version, make_decoder(network, name, precision, files))
            self._decoders[name, precision] = kept
        return kept[1]

    def _precision(self, engine_name: str, engine: EngineConfig) -> DecodingPrecision:
        """As asked for; ``auto`` is measured once."""
        if engine.precision != "auto":
            return engine.precision
        if engine_name not in self._fast_precisions:
            self._fast_precisions[engine_name] = choose_decoding_precision(self.network, engine_name)
        return self._fast_precisions[engine_name]

    def _places(self) -> _Places:
        return tuple((tensor.data_ptr(), tensor._version) for tensor in self.network.parameters())
