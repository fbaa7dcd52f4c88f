"""Writes the model card: method, paper, base model, data, curves and settings of a training."""

import importlib.metadata
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset
from huggingface_hub import ModelCard, ModelCardData
from transformers import TrainerState, is_wandb_available
from trl.trainer.utils import get_comet_experiment_url, get_trackio_space_url

from ..files.model_folder import needs_peft
from ..markdown import cell, code_cell, section
from .config import ReflectionDistillConfig
from .curves import summarize
from .dataset import count_rows


# Tags of the method
PAPER = {
    "title": "ReflectionCoder: Learning from Reflection Sequence for Enhanced One-off Code Generation",
    "id": "2405.17057",
    # docstyle-ignore
    "citation": """\
@inproceedings{ren2025reflectioncoder,
    title     = {{ReflectionCoder: Learning from Reflection Sequence for Enhanced One-off Code Generation}},
    author    = {Houxing Ren and Mingjie Zhan and Zhongyuan Wu and Aojun Zhou and Junting Pan and Hongsheng Li},
    year      = 2025,
    booktitle = {Proceedings of the 63rd Annual Meeting of the Association for Computational Linguistics (ACL 2025)},
    eprint    = {arXiv:2405.17057},
}""",
}

# Settings that distinguish one training from another, in the order of the card
_SETTINGS = (
    "rendering",
    "execution_role",
    "chat_template_kwargs",
    "hide_prefix",
    "mask_strategy",
    "mask_order",
    "mask_schedule",
    "mask_rate_start",
    "mask_rate_end",
    "sequence_loss_weight",
    "student_loss_weight",
    "distillation_weight",
    "train_on_failed_attempts",
    "loss_normalization",
    "beta",
    "temperature",
    "teacher",
    "max_length",
    "token_budget",
    "learning_rate",
    "lr_scheduler_type",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "seed",
)
_PACKAGES = ("reflection-trl", "trl", "transformers", "torch", "datasets", "tokenizers", "peft")


def make_model_card(
    args: ReflectionDistillConfig,
    state: TrainerState,
    paper: dict[str, str],
    model_name: str,
    base_model: str | None = None,
    hub_model_id: str | None = None,
    dataset_name: str | list[str] | None = None,
    tags: list[str] | None = None,
    adapter: dict[str, Any] | None = None,
    curves: str | None = None,
    num_rows: int | None = None,
) -> ModelCard:
    """
    Creates the card of a trained model.

    Args:
        args ([`ReflectionDistillConfig`]):
            Settings of the training.
        state ([`~transformers.TrainerState`]):
            Final state of the training.
        paper (`dict[str, str]`):
            `title`, `id` and `citation` of the method's paper.
        model_name (`str`):
            Title of the card.
        base_model (`str`, *optional*):
            Hub id of the base model.
        hub_model_id (`str`, *optional*):
            Hub id of the trained model.
        dataset_name (`str` or `list[str]`, *optional*):
            Hub id or file of the dataset, or of each dataset of a mixture.
        tags (`list[str]`, *optional*):
            Tags.
        adapter (`dict[str, Any]`, *optional*):
            Settings of the adapter, if the model is one.
        curves (`str`, *optional*):
            Image of the training curves, in the folder of the card.
        num_rows (`int`, *optional*):
            Number of training rows.

    Returns:
        [`~huggingface_hub.ModelCard`]: The card.
    """
    names = [dataset_name] if isinstance(dataset_name, str) else dataset_name or []
    trackio_url = get_trackio_space_url()
    tags = sorted({"generated_from_trainer", "text-generation", *(tags or [])})
    if trackio_url is not None:
        tags.append(f"trackio:{trackio_url}")
    # `max_steps` overrides the number of epochs
    unused = {"num_train_epochs"} if args.max_steps > 0 else {"max_steps"}
    if not args.chat_template_kwargs:
        unused.add("chat_template_kwargs")
    return ModelCard.from_template(
        ModelCardData(
            base_model=base_model,
            base_model_relation=("finetune" if adapter is None else "adapter") if base_model else None,
            datasets=[name for name in names if not _is_file(name)] or None,
            library_name="transformers" if adapter is None else "peft",
            pipeline_tag="text-generation",
            model_name=model_name,
            tags=tags,
        ),
        template_path=str(Path(__file__).parent / "templates" / "model_card.md"),
        title=cell(model_name),
        base_model=base_model,
        model_id=hub_model_id or args.output_dir,
        adapter={name: _plain(value) for name, value in (adapter or {}).items()},
        needs_peft=adapter is not None and needs_peft(adapter),
        template_variables=args.chat_template_kwargs,
        curves=curves,
        num_rows=num_rows,
        data=[_named(name) for name in names],
        rendering=args.rendering,
        settings={name: _plain(getattr(args, name)) for name in _SETTINGS if name not in unused},
        state=state,
        distills=args.distillation_weight > 0,
        results=summarize(state.log_history, args.mask_strategy, args.distillation_weight),
        versions=package_versions(),
        paper_title=paper["title"],
        paper_id=paper["id"],
        paper_citation=paper["citation"],
        wandb_url=_wandb_url(),
        trackio_url=trackio_url,
        comet_url=get_comet_experiment_url(),
        code_cell=code_cell,
        section=section,
    )


def _plain(value: Any) -> Any:
    return getattr(value, "value", ", ".join(value) if isinstance(value, list) else value)


def run_facts(train_dataset: Dataset | IterableDataset | None, prepared: Dataset | IterableDataset) -> dict[str, Any]:
    """
    Returns the facts about a run that trackers record in addition to its settings.

    Args:
        train_dataset ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            Training rows.
        prepared ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]):
            The same rows, prepared.

    Returns:
        `dict[str, Any]`: Fingerprint and number of rows, `None` for a stream, and versions of the packages.
    """
    return {
        "data/fingerprint": getattr(train_dataset, "_fingerprint", None),
        "data/rows": count_rows(prepared) if isinstance(prepared, Dataset) else None,
        **{f"versions/{package}": version for package, version in package_versions().items()},
    }


def _is_file(dataset: str) -> bool:
    return Path(dataset).exists() or Path(dataset).suffix in (".json", ".jsonl", ".parquet")


def _named(dataset: str) -> str:
    # The folder of a file is irrelevant to others
    if _is_file(dataset):
        return code_cell(Path(dataset).name)
    return f"[{dataset}](https://huggingface.co/datasets/{dataset})"


def package_versions() -> dict[str, str]:
    """
    Returns the versions of the packages of a training.

    Returns:
        `dict[str, str]`: Version of each installed package.
    """
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source tree
            continue
    return versions


def _wandb_url() -> str | None:
    if not is_wandb_available():
        return None
    import wandb

    return wandb.run.url if wandb.run is not None else None
