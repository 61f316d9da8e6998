"""What a run of texts in files does while it trains: evaluate, sample, show, and write its config and its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import __version__
from textwright.api.config import Resolved, RunConfig
from textwright.api.evaluator import Evaluator
from textwright.checkpoint.model_folder import save_model
from textwright.data.dataset import DataSplits
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.config import ModelConfig
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import ResolvedTrainConfig
from textwright.training.plan import describe_plan

SAMPLE = SamplingConfig(max_new_tokens=80, temperature=0.8, top_p=0.95)


@dataclass(frozen=True)
class RunCallbacks:
    """What the loop asks of the stages above it, for a run of texts in files."""

    run: Run
    config: RunConfig
    model: ModelConfig
    tokenizer: Tokenizer
    data: DataSplits
    evaluator: Evaluator
    display: TrainingDisplay | None

    def as_callbacks(self) -> Callbacks:
        """The functions themselves."""
        callbacks = Callbacks(
            sample=self.sample,
            on_row=self.display.show if self.display else lambda _row: None,
            on_resolved=self.remember,
            on_note=self.note,
            on_plan=lambda plan: self.note(describe_plan(plan)),
            save_model=self.save,
        )
        return self.evaluator.added_to(callbacks)

    def sample(self, model: Network) -> dict[str, Any]:
        """What the model makes of the sample prompts."""
        assert isinstance(model, LanguageModel)
        prompts = self.config.sample_prompts or ("",)
        completions = generate(model, self.tokenizer, prompts, SAMPLE)
        texts = [completion.prompt + completion.text for completion in completions]
        return {"text": texts[0], "texts": texts}

    def remember(self, resolved: ResolvedTrainConfig) -> None:
        """Write what was resolved into the run's config."""
        followed = Resolved(choice=self.config.model, model=self.model).model_dump(mode="json")
        self.run.write_config(self.config.model_copy(update={"training": resolved}), followed)

    def note(self, line: str) -> None:
        """Show a line, where anything is shown."""
        if self.display is not None:
            self.display.screen.print(line)

    def save(self, model: Network, folder: Path) -> None:
        """Write the finished model, with what it came from."""
        facts = {
            "textwright": __version__,
            "run": str(self.run.folder.name),
            "data_sha256": self.data.manifest.fingerprint if self.data.manifest else None,
            "tokenizer_sha256": self.tokenizer.fingerprint,
        }
        save_model(model, self.tokenizer, folder, facts=facts)
