"""Publishes a trained model: model card, curves and uploads, with one-line errors."""

import shlex
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, HfApi
from peft import PeftModel
from transformers import PreTrainedModel, Trainer
from transformers.utils import logging
from trl import SFTTrainer
from trl.trainer.utils import get_config_model_id

from ..hub_errors import explain_failures
from .adapters import adapter_settings, origin_id, private_base_warning
from .config import ReflectionDistillConfig
from .curves import CURVES_FILE, plot_training, summarize
from .model_card import PAPER, make_model_card


logger = logging.get_logger(__name__)

TAGS = ["trl", "reflection-distill", "reflection-trl"]


class HubMixin(Trainer):
    """Pushes a model with one-line errors for failed uploads, to a branch if `hub_revision` is set."""

    model: PreTrainedModel | PeftModel

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        # Called before training, so that a model that cannot be published, or that others cannot load, fails early
        self._warn_of_private_base()
        with explain_failures(f"make the model repository {self._repo_name()}", token or self.args.hub_token):
            super().init_hf_repo(token=token, private=private)
            self._make_branch(self.args.hub_revision, token)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo:
        """
        Pushes model or adapter, tokenizer, card and curves to `hub_model_id`. See
        [`~transformers.Trainer.push_to_hub`].

        Raises:
            PublishError: If the upload failed. The one-line message gives the reason and the command to upload the
            model later.
        """
        output_dir, revision = self._output_dir, revision or self.args.hub_revision
        upload = f"hf upload {self._repo_name()} {shlex.quote(output_dir)} . --exclude '_*' --exclude 'checkpoint-*'"
        if revision:
            upload += f" --revision {shlex.quote(revision)}"
        if self.args.hub_private_repo if private is None else private:
            upload += " --private"
        kept = f"the model is kept in {output_dir}, and `{upload}` uploads it"
        with explain_failures(f"publish the model {self._repo_name()}", token or self.args.hub_token, kept):
            if not self.args.push_to_hub:  # the repository was not created at the start
                self._warn_of_private_base()
                self.save_model(_internal_call=True)  # by all processes, and kept if the upload fails
                self.create_model_card(**kwargs)
                if self.hub_model_id is None:
                    super().init_hf_repo(token=token, private=private)
            self._make_branch(revision, token)
            return super().push_to_hub(commit_message, blocking, token, revision, private, **kwargs)

    def _warn_of_private_base(self) -> None:
        if isinstance(self.model, PeftModel) and self.is_world_process_zero():
            warning = private_base_warning(self.model)
            if warning is not None:
                logger.warning(warning)

    @property
    def _output_dir(self) -> str:
        assert self.args.output_dir is not None  # `TrainingArguments` sets it
        return self.args.output_dir

    def _repo_name(self) -> str:
        return self.hub_model_id or self.args.hub_model_id or Path(self._output_dir).absolute().name

    def _make_branch(self, revision: str | None, token: str | None) -> None:
        if revision and not revision.startswith("refs/") and self.is_world_process_zero():
            api = HfApi(token=token or self.args.hub_token)
            api.create_branch(self._repo_name(), branch=revision, exist_ok=True)


class PublishingTrainer(HubMixin, SFTTrainer):
    """Extends TRL's `SFTTrainer` with this package's model card."""

    args: ReflectionDistillConfig
    model: PreTrainedModel | PeftModel
    # Hub id of the dataset, or of each dataset of a mixture, for the cards
    dataset_name: str | list[str] | None = None

    _tag_names = TAGS
    _name = "ReflectionDistill"
    _paper = PAPER

    def create_model_card(  # type: ignore[override] # TRL has these arguments
        self,
        model_name: str | None = None,
        dataset_name: str | list[str] | None = None,
        tags: str | list[str] | None = None,
    ) -> None:
        """
        Writes the model card to `output_dir`.

        Args:
            model_name (`str`, *optional*):
                Title of the card; by default the name of `hub_model_id` or `output_dir`.
            dataset_name (`str` or `list[str]`, *optional*):
                Hub id of the dataset, or of each dataset of a mixture, or its file. It is stored for the cards of
                later checkpoints.
            tags (`str` or `list[str]`, *optional*):
                Tags in addition to those of the trainer.
        """
        self.dataset_name = dataset_name or self.dataset_name
        if not self.is_world_process_zero():
            return
        card = make_model_card(
            self.args,
            self.state,
            self._paper,
            model_name or (self.hub_model_id or Path(self._output_dir).name).split("/")[-1],
            base_model=origin_id(get_config_model_id(self.model.config)),
            hub_model_id=self.hub_model_id or self.args.hub_model_id,
            dataset_name=self.dataset_name,
            tags=[*self._tag_names, *([tags] if isinstance(tags, str) else tags or [])],
            adapter=adapter_settings(self.model.active_peft_config) if isinstance(self.model, PeftModel) else None,
            curves=self._draw_curves(),
            num_rows=self.args.run_facts["data/rows"],
        )
        card.save(Path(self._output_dir) / "README.md")

    def _draw_curves(self) -> str | None:
        """
        Plots the curves beside the card. Returns `None` if nothing was logged yet, or without matplotlib, which is
        optional.
        """
        if not summarize(self.state.log_history):
            return None
        try:
            return plot_training(self.state.log_history, Path(self._output_dir) / CURVES_FILE).name
        except ImportError:
            return None
