"""A fine-tuning foreseen: what it would take, from trial steps that are undone."""

from dataclasses import replace
from pathlib import Path

from textwright.api.config import FitConfig
from textwright.api.evaluator import Evaluator
from textwright.api.fit_data import FitData
from textwright.api.fit_run import begin_fit_run, fit_callbacks
from textwright.api.frozen_part import fit_model_with_loss
from textwright.api.taught import Taught
from textwright.core.files import scratch_folder
from textwright.core.user_paths import folder_beside
from textwright.evaluation.tracked_tasks import TaskExamples
from textwright.training.estimate_run import estimate_run
from textwright.training.plan import Plan


def plan_teaching(taught: Taught, data: FitData, config: FitConfig, tasks: list[TaskExamples], *, out: Path) -> Plan:
    """Foresee a run of ``fit``: it is begun in a folder that is deleted afterwards, and some steps are tried.

    Args:
        taught: the model; its weights are left as they were.
        data: what is learned from, and looked at.
        config: how to train.
        tasks: what the model is put to meanwhile.
        out: where the run would be: what is written meanwhile lies beside it, on the same disk.
    """
    network = taught.network
    model = network, taught.tokenizer, taught.prompt_format
    evaluator = Evaluator.of(data.splits.val, tasks, config.training, *model)
    training = evaluator.applied_to(config.training)
    with scratch_folder(folder_beside(out), "plan") as scratch:
        run, data = begin_fit_run(scratch / "run", taught, data, config)
        evaluator = replace(evaluator, val=data.splits.val, watched=data.watch)
        callbacks = fit_callbacks(run, config, taught, data, evaluator, None)
        batches = data.batches(training, network.context_length)
        model_with_loss = fit_model_with_loss(network, batches, config, training, run, callbacks.on_note)
        return estimate_run(model_with_loss, batches, training, callbacks, scratch=run.folder)
