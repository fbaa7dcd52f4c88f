"""
Every causal language model of the installed transformers, tiny and random: is it packed, padded or refused, and is what it is
trained on right?

    python tests/training/zoo.py            # one line for each
    python tests/training/zoo.py --write    # the table in docs/models.md
    python tests/training/zoo.py llama mamba
"""

import argparse
import re
import textwrap
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from reflection_trl.training.forward import LossInputs, add_distillation_forward
from reflection_trl.training.inputs import model_inputs
from reflection_trl.training.packing import Row, full_sequence, pack, pad, student_sequence
from reflection_trl.training.self_check import padding_reason_by_trial


DOCS = Path(__file__).parents[2] / "docs" / "models.md"
START, END = "<!-- the zoo: python tests/training/zoo.py --write -->", "<!-- end of the zoo -->"
MODEL_TYPES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
# As the trainer would be given it; windows are made wider than that
MAX_LENGTH = 256
MOST_PARAMETERS = 4e7

# Whatever a family calls it
SIZES = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim", "attention_hidden_size"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_blocks"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "decoder_attention_heads", "num_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "hidden_dim", "d_ff"), 96),
    **dict.fromkeys(("mlp_hidden_size", "ffn_hidden_size", "num_decoder_layers"), 96),
    **dict.fromkeys(("n_positions", "n_ctx", "max_seq_len", "max_position_embeddings"), 256),
    **dict.fromkeys(("head_dim", "global_head_dim", "attention_head_size", "d_kv", "kv_channels", "v_head_dim"), 16),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 48),
    **dict.fromkeys(("n_shared_experts", "num_shared_experts", "n_group", "topk_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size", "mamba_n_heads", "mamba_num_heads"), 8),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim", "mamba_chunk_size", "chunk_size"), 16),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 16),
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "local_attention"), 1024),
    "num_decoder_layers": 2,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "rotary_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 512,
    "moe_layer_start_index": 0,
    "num_nextn_predict_layers": 0,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 97,
    "num_kv_shared_layers": 0,
    "laurel_rank": 4,
    "altup_num_inputs": 2,
    "vocab_size": 97,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_MLA = {"head_dim": 8, "num_key_value_heads": 4}
# Where sizes depend on each other; `None` leaves a family's default
FURTHER: dict[str, dict] = {
    "deepseek_v2": {**_MLA, "num_experts_per_tok": 2},
    "falcon": {"head_dim": None},
    "gemma4_text": {"hidden_size_per_layer_input": None, "vocab_size_per_layer_input": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "lfm2_moe": {"layer_types": ["full_attention", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2},
    "ministral": {"head_dim": 16},
    "minicpm3": _MLA,
    "nemotron": {"head_dim": 16, "num_key_value_heads": 2},
    "reformer": {"is_decoder": True},
    "xlstm": {"v_head_dim": None, "head_dim": None},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "n_group": 1, "topk_group": 1},
    "falcon_h1": {"mamba_d_ssm": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": None, "n_mamba_heads": 2},
    "zamba2": {"num_hidden_layers": None},
    "zaya": {"num_experts_per_tok": 1},
    **dict.fromkeys(("axk1", "axk2", "deepseek_v3", "deepseek_v32", "deepseek_v4"), _MLA),
    **dict.fromkeys(("dots3_note_text", "glm4_moe_lite", "glm_moe_dsa", "longcat_flash"), _MLA),
    **dict.fromkeys(("mimo_v2_flash", "sarvam_mla", "youtu"), _MLA),
}
# So that leaving them out shows
SCALES = ("logits_scaling", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_mup_width_multiplier")
CAPS = ("final_logit_softcapping", "softcap", "output_logit_soft_cap", "logits_soft_cap", "logit_softcap")


@dataclass
class Outcome:
    """What becomes of a model: `packed`, `padded`, `refused`, `not causal`, `not built`, or `WRONG`; and why."""

    kind: str
    reason: str = ""


class NotBuilt(Exception):
    """No tiny model of this kind can be made from the sizes above."""


def tiny_config(model_type):
    """A small config of a model type, with scale and cap of the logits where the family has them."""
    config_class = CONFIG_MAPPING[model_type]
    default = config_class()
    sizes = {name: size for name, size in SIZES.items() if has_size(default, name)}
    sizes |= FURTHER.get(model_type, {})
    config = config_class(**{name: size for name, size in sizes.items() if size is not None})
    for name in SCALES:
        if getattr(config, name, None) is not None and not isinstance(getattr(type(config), name, None), property):
            setattr(config, name, 3.0)
    for name in CAPS:
        if hasattr(config, name):
            setattr(config, name, 1.5)
    return config


def has_size(config, name):
    try:
        return getattr(config, name, None) is not None
    except Exception:  # some sizes may differ between layers, and are then not to be had of the config as a whole
        return True


def build(model_type):
    """A tiny model with random weights, in which no bias is zero and no norm one."""
    torch.manual_seed(0)
    try:
        config = tiny_config(model_type)
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
        if sum(p.numel() for p in empty.parameters()) > MOST_PARAMETERS:
            raise NotBuilt("it stays large, for it has further parts, such as for images")
        try:
            model = AutoModelForCausalLM.from_config(tiny_config(model_type), attn_implementation="sdpa")
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error) and "attention implementation" not in str(error):
                raise
            model = AutoModelForCausalLM.from_config(tiny_config(model_type))
    except NotBuilt:
        raise
    except Exception as error:
        raise NotBuilt(f"{type(error).__name__}: {str(error).strip().splitlines()[0][:80]}") from error
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.08)
            elif parameter.numel() > 1:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.float().eval()


def make_row(length, number):
    """A row of random tokens, all trained on."""
    tokens = np.random.default_rng(number).integers(5, 90, length)
    one = np.ones(length, dtype=bool)
    return Row(
        tokens, one, np.zeros(length, dtype=int), np.zeros(0, dtype=int), answer_start=length // 2, row_id=number
    )


FIRST, SECOND = make_row(24, 1), make_row(10, 2)
HIDDEN = np.isin(np.arange(24), np.arange(4, 9))


def is_causal(model):
    other = FIRST.input_ids.copy()
    other[-1] += 5
    with torch.no_grad():
        one, two = (
            model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0] for ids in (FIRST.input_ids, other)
        )
    return one.shape[0] == len(other) and (one[:-1] - two[:-1]).abs().max() < 1e-4


def own_losses(model, hidden_content):
    """Cross-entropies of the first row, of its student and of the second row by the model's own logits, each in a batch of its own."""
    losses = []
    for row, hidden in ((FIRST, None), (FIRST, HIDDEN), (SECOND, None)):
        ids = torch.tensor(row.input_ids)
        start = 1
        inputs = {}
        if hidden is not None:
            ids[hidden] = torch.tensor(hidden_content)
            inputs = {
                "attention_mask": torch.tensor(~hidden).long()[None],
                "position_ids": torch.arange(len(ids))[None],
            }
            start = row.answer_start
        logits = model(input_ids=ids[None], use_cache=False, **inputs).logits[0].float()
        losses.append(torch.nn.functional.cross_entropy(logits[start - 1 : -1], ids[start:], reduction="none"))
    return torch.cat(losses)


def trained_losses(model, packed):
    """The same from the forward pass that is trained."""
    sequences = [full_sequence(FIRST), student_sequence(FIRST, HIDDEN), full_sequence(SECOND)]
    batch = pack(sequences) if packed else pad(sequences)
    loss_inputs = LossInputs(
        loss_index=torch.tensor(batch.loss_index),
        targets=torch.tensor(batch.targets),
        nll_weight=torch.ones(len(batch.targets)),
        student_index=torch.tensor(batch.student_index),
        teacher_index=torch.tensor(batch.teacher_index),
        divergence_weight=0.0,
    )
    inputs = model_inputs(batch, model.config._attn_implementation, torch.device("cpu"), torch.float32)
    return model(**inputs, loss_inputs=loss_inputs)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: torch.zeros(()) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def examine(model_type):
    """What becomes of a model type in the trainer, and whether losses and gradients are the model's own."""
    try:
        model = build(model_type)
    except NotBuilt as error:
        return Outcome("not built", str(error))
    try:
        causal = is_causal(model)
        expected = own_losses(model, FIRST.input_ids[HIDDEN])
        expected_gradients = gradients(model, expected.sum())
        other = own_losses(model, SECOND.input_ids[: HIDDEN.sum()])
    except Exception as error:
        return Outcome("not built", f"{type(error).__name__}: {str(error).strip().splitlines()[0][:80]}")
    try:
        add_distillation_forward(model)
        why_padded = padding_reason_by_trial(model, MAX_LENGTH)
    except ValueError as error:
        return Outcome("refused" if causal else "not causal", str(error))
    if not causal:
        return Outcome("WRONG", "tokens see later ones")
    if (expected - other).abs().max() > 1e-3:
        return Outcome("WRONG", f"hidden content moves losses by {(expected - other).abs().max():.2g}")
    outputs = trained_losses(model, packed=why_padded is None)
    gap = (outputs["nll"] - expected).abs().max().item()
    if gap > 1e-3:
        return Outcome("WRONG", f"a loss is wrong by {gap:.2g} nats")
    actual = gradients(model, outputs["loss"])
    for name, gradient in expected_gradients.items():
        if (actual[name] - gradient).norm() > 1e-3 * max(gradient.norm().item(), 1e-3):
            return Outcome("WRONG", f"the gradient of {name}")
    return Outcome("packed") if why_padded is None else Outcome("padded", why_padded)


def table(outcomes):
    """The outcomes in Markdown: one row for each outcome and reason."""
    words = {
        "packed": "dropped, in one packed row",
        "padded": "masked, in a padded batch",
        "refused": "model rejected",
        "not causal": "model rejected",
        "not built": "not tested",
    }
    groups = defaultdict(list)
    for model_type, outcome in outcomes.items():
        groups[outcome.kind, short_reason(outcome)].append(model_type)
    order = list(words)
    lines = ["| Hidden tokens | Reason | Model types |", "|---|---|---|"]
    for (kind, reason), names in sorted(groups.items(), key=lambda group: (order.index(group[0][0]), -len(group[1]))):
        lines.append(f"| {words[kind]} | {reason} | {', '.join(names)} |")
    return "\n".join(lines)


def short_reason(outcome):
    """A reason without what is of one model alone: its names and its numbers."""
    if outcome.kind == "not built":
        return (
            "the model has image or audio parts, or sizes that do not shrink"
            if outcome.reason.startswith("it stays")
            else "no tiny model can be created"
        )
    reason = outcome.reason.partition("; ")[0]
    reason = re.sub(r"`\w+` \(model type '[^']+'\)|[Mm]odel type '[^']+'", "the model", reason)
    reason = re.sub(r"layers of type .*, whose", "layers whose", reason)
    reason = re.sub(r",? by [\d.e-]+ of (their|its) size| \(\w+Error.*\)", "", reason)
    return reason[:1].lower() + reason[1:]


def section(outcomes):
    """What stands between the two marks in docs/models.md."""
    count = sum(outcome.kind != "not built" for outcome in outcomes.values())
    text = (
        f"The tests cover {count} of the {len(outcomes)} causal language models of transformers {transformers.__version__}, as tiny random "
        f"models, with rows of at most {MAX_LENGTH} tokens and wider attention windows. They compare the loss and gradients of a batch with "
        f"those of the model's own logits, row by row."
    )
    return f"{textwrap.fill(text, 135)}\n\n{table(outcomes)}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_types", nargs="*", default=MODEL_TYPES)
    parser.add_argument("--write", action="store_true", help="the table in docs/models.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    outcomes = {}
    for model_type in args.model_types:
        outcome = outcomes[model_type] = examine(model_type)
        print(f"{model_type:28} {outcome.kind:10} {outcome.reason}", flush=True)
    if args.write:
        text = DOCS.read_text()
        before, after = text.partition(START)[0], text.partition(END)[2]
        DOCS.write_text(f"{before}{START}\n{section(outcomes)}{END}{after}")


if __name__ == "__main__":
    main()
