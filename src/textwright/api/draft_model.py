"""A model that guesses ahead for another one."""

from typing import TYPE_CHECKING

from textwright.engines.config import EngineConfig
from textwright.generation.speculative import Draft, ModelDrafter, Pick
from textwright.generation.text_index import TextIndex

if TYPE_CHECKING:
    from textwright.api.model import Model


class DraftModel:
    """A drafter that follows its model: what it has of the model is made anew once that has changed."""

    def __init__(self, model: "Model", engine: EngineConfig, vocab_size: int) -> None:
        self._model, self._engine, self._vocab_size = model, engine, vocab_size
        self._renew()

    def draft(self, text: TextIndex, count: int, pick: Pick) -> Draft:
        """See ``Drafter``. Only declared changes are looked for: it is called for every few tokens."""
        if self._model._weights.num_changes != self._num_changes:
            self._renew()
        return self._drafter.draft(text, count, pick)

    def _renew(self) -> None:
        self._num_changes = self._model._weights.num_changes
        self._drafter = ModelDrafter(self._model.decoder(self._engine), self._vocab_size)
