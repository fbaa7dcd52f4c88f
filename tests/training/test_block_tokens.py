"""The seven special tokens of the published format: their embeddings, how generation ends, and adapters."""

import copy

import pytest
import torch
from conftest import make_tokenizer, tiny_config
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from reference import make_trainer
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig

from reflection_trl.rendering import BLOCK_TOKENS, BlockTokenRenderer
from reflection_trl.training.block_tokens import add_block_tokens


GPT2 = {"vocab_size": 400, "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
NEOX = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
CONFIGS = {
    "tied": lambda: tiny_config(vocab_size=400, tie_word_embeddings=True),
    "untied": lambda: tiny_config(vocab_size=400, tie_word_embeddings=False),
    "room to spare": lambda: tiny_config(vocab_size=512, tie_word_embeddings=False),
    "gpt2": lambda: GPT2Config(**GPT2),
    "gpt-neox": lambda: GPTNeoXConfig(**NEOX, tie_word_embeddings=False),
}
configs = pytest.mark.parametrize("kind", CONFIGS)


@pytest.fixture
def plain_tokenizer():
    tokenizer = make_tokenizer(["<s>", "</s>"], None, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    assert len(tokenizer) == 400
    return tokenizer


def embeddings_of(model):
    return model.get_input_embeddings().weight, model.get_output_embeddings().weight


def ids_of(tokenizer):
    return tokenizer.convert_tokens_to_ids(list(BLOCK_TOKENS.values()))


@configs
def test_new_embeddings_are_the_means_of_their_pieces(kind, plain_tokenizer, make_model):
    model = make_model(CONFIGS[kind]())
    before = copy.deepcopy(plain_tokenizer)
    old_in, old_out = (weight.detach().clone() for weight in embeddings_of(model))
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == (kind in ("tied", "gpt2"))
    add_block_tokens(model, plain_tokenizer)
    new_in, new_out = embeddings_of(model)
    assert (new_in is new_out) == tied
    assert ids_of(plain_tokenizer) == list(range(400, 407))
    assert len(new_in) == len(new_out) == (512 if kind == "room to spare" else 407)
    for token, number in zip(BLOCK_TOKENS.values(), ids_of(plain_tokenizer), strict=True):
        pieces = before(token, add_special_tokens=False)["input_ids"]
        assert len(pieces) > 1 and max(pieces) < 400
        torch.testing.assert_close(new_in[number], old_in[pieces].mean(0))
        torch.testing.assert_close(new_out[number], old_out[pieces].mean(0))
        assert plain_tokenizer(f"a{token}b", add_special_tokens=False)["input_ids"].count(number) == 1
    assert torch.equal(new_in[:400], old_in[:400]) and torch.equal(new_out[:400], old_out[:400])
    assert model.config.vocab_size == len(new_in)
    assert plain_tokenizer.eos_token == "</s>" and plain_tokenizer.bos_token == "<s>"


def test_twice_is_once(plain_tokenizer, make_model):
    model = make_model(CONFIGS["untied"]())
    add_block_tokens(model, plain_tokenizer)
    with torch.no_grad():  # as after some training
        model.get_input_embeddings().weight[400:] += 1
    trained, stops = model.get_input_embeddings().weight.detach().clone(), model.generation_config.eos_token_id
    add_block_tokens(model, plain_tokenizer, config := LoraConfig())
    assert torch.equal(model.get_input_embeddings().weight, trained)
    assert model.generation_config.eos_token_id == stops and len(plain_tokenizer) == 407
    assert config.trainable_token_indices is None


def test_other_special_tokens_stay(plain_tokenizer, make_model):
    plain_tokenizer.add_special_tokens({"additional_special_tokens": ["<fim>", "<|code|>"]})
    model = make_model(CONFIGS["room to spare"]())
    code = model.get_input_embeddings().weight[401].detach().clone()
    add_block_tokens(model, plain_tokenizer)
    assert len(plain_tokenizer) == 408
    assert torch.equal(model.get_input_embeddings().weight[401], code), (
        "a block token that is there already is left alone"
    )
    for token in ("<fim>", *BLOCK_TOKENS.values()):
        assert token in plain_tokenizer.all_special_tokens
        assert len(plain_tokenizer(token, add_special_tokens=False)["input_ids"]) == 1


def test_chat_template_serves_one_off_prompts_after_saving(plain_tokenizer, make_model, tmp_path):
    from transformers import AutoTokenizer, pipeline

    model = make_model(CONFIGS["tied"]())
    add_block_tokens(model, plain_tokenizer)
    model.save_pretrained(tmp_path)
    plain_tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    request = [{"role": "user", "content": "Write f."}]
    text = tokenizer.apply_chat_template(request, add_generation_prompt=True, tokenize=False)
    assert text == "<s><|user|><|text|>Write f.<|endofblock|><|endofmessage|><|assistant|>"
    row = {"messages": [*request, {"role": "assistant", "content": "x"}], "type": "generation"}
    columns = BlockTokenRenderer(tokenizer).tokenize(row)
    prompt = tokenizer.apply_chat_template(request, add_generation_prompt=True, return_dict=False)
    assert columns["input_ids"][: columns["answer_start"]] == prompt
    generate = pipeline("text-generation", model=str(tmp_path), device="cpu")
    (result,) = generate(request, max_new_tokens=2, do_sample=False)
    assert result["generated_text"][-1]["role"] == "assistant"
    with pytest.raises(Exception, match="user and assistant turns only, not tool"):
        tokenizer.apply_chat_template([*request, {"role": "tool", "content": "x"}], tokenize=False)


@pytest.mark.parametrize("stops", [None, 1, [1, 5]])
def test_generation_stops_at_the_end_of_a_message(stops, plain_tokenizer, make_model):
    model = make_model(CONFIGS["untied"]())
    model.generation_config.eos_token_id = stops
    add_block_tokens(model, plain_tokenizer)
    end = plain_tokenizer.convert_tokens_to_ids("<|endofmessage|>")
    assert model.generation_config.eos_token_id == [end, *([] if stops is None else [stops] if stops == 1 else stops)]
    prompt = torch.tensor([[5, 6, 7]])

    def say_nothing_else(input_ids, scores):
        return torch.full_like(scores, -1e9).index_fill(1, torch.tensor([end]), 0.0)

    output = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=5,
        do_sample=False,
        pad_token_id=0,
        logits_processor=[say_nothing_else],
    )
    assert output[0].tolist() == [5, 6, 7, end]


def trained_with_adapter(model, tokenizer, config):
    peft_model = get_peft_model(model, config)
    optimizer = torch.optim.SGD([p for p in peft_model.parameters() if p.requires_grad], lr=0.5)
    ids = torch.tensor([[5, 6, *ids_of(tokenizer), 7, 8]])
    for _ in range(2):
        peft_model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return peft_model.eval(), ids


@configs
def test_adapter_trains_the_new_rows_only(kind, plain_tokenizer, make_model, tmp_path):
    """Beside the adapter, seven rows of each embedding; saved and reloaded, it gives the same logits."""
    model = make_model(CONFIGS[kind]())
    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    add_block_tokens(model, plain_tokenizer, config)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    names = {"gpt2": ["wte"], "gpt-neox": ["embed_in", "lm_head"]}.get(kind, ["embed_tokens", "lm_head"][: 2 - tied])
    assert config.trainable_token_indices == {name: list(range(400, 407)) for name in names}
    model.save_pretrained(tmp_path / "base")
    before = [weight.detach().clone() for weight in embeddings_of(model)]

    peft_model, ids = trained_with_adapter(model, plain_tokenizer, config)
    trained = {name: p for name, p in peft_model.named_parameters() if p.requires_grad}
    rows = {name: p for name, p in trained.items() if "lora_" not in name}
    assert len(rows) == len(names) and all("token_adapter.trainable_tokens_delta" in name for name in rows)
    assert all(p.shape == (7, 32) for p in rows.values())
    peft_model.save_pretrained(tmp_path / "adapter")

    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    reloaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        logits = peft_model(input_ids=ids).logits
        torch.testing.assert_close(reloaded(input_ids=ids).logits, logits)
        merged = reloaded.merge_and_unload()
        torch.testing.assert_close(merged(input_ids=ids).logits, logits, atol=1e-4, rtol=1e-4)
    for weight, old in zip(embeddings_of(merged), before, strict=True):
        assert torch.equal(weight[:400], old[:400])
        assert (weight[400:407] != old[400:407]).any(1).all()


def test_rows_that_are_trained_already_stay(plain_tokenizer, make_model):
    config = LoraConfig(target_modules=["q_proj"], trainable_token_indices=[3, 4])
    add_block_tokens(make_model(CONFIGS["untied"]()), plain_tokenizer, config)
    new = list(range(400, 407))
    assert config.trainable_token_indices == {"embed_tokens": [3, 4, *new], "lm_head": new}


def test_adapters_without_trainable_rows_are_refused(plain_tokenizer, make_model):
    with pytest.raises(ValueError, match="which PromptTuningConfig does not support; use a `LoraConfig`"):
        add_block_tokens(make_model(CONFIGS["untied"]()), plain_tokenizer, PromptTuningConfig(num_virtual_tokens=2))
    assert len(plain_tokenizer) == 400


def fresh(make_model, kind):
    """A model as it comes, whose rows for tokens to come are those of padding."""
    model = make_model(CONFIGS[kind](), seed=1)
    with torch.no_grad():
        for weight in embeddings_of(model):
            weight[400:] = 0.001
    return model


@pytest.mark.parametrize("saved", [False, True], ids=["shared", "saved"])
@configs
def test_a_tokenizer_that_has_the_tokens_already(kind, saved, plain_tokenizer, make_model, tmp_path):
    """A second training with the same tokenizer, or with one that an earlier training saved: the model decides."""
    expected = fresh(make_model, kind)
    config = LoraConfig(target_modules="all-linear")
    add_block_tokens(expected, plain_tokenizer, config)
    if saved:
        plain_tokenizer.save_pretrained(tmp_path)
        plain_tokenizer = type(plain_tokenizer).from_pretrained(tmp_path)
    model, again = fresh(make_model, kind), LoraConfig(target_modules="all-linear")
    add_block_tokens(model, plain_tokenizer, again)
    for weight, other in zip(embeddings_of(model), embeddings_of(expected), strict=True):
        assert torch.equal(weight, other)
    assert again.trainable_token_indices == config.trainable_token_indices != {}
    assert model.generation_config.eos_token_id == expected.generation_config.eos_token_id


@pytest.mark.parametrize("published", [False, True], ids=["ours", "published code"])
def test_what_a_model_was_trained_with_stays(published, plain_tokenizer, make_model, tmp_path):
    model = make_model(CONFIGS["untied"]())
    add_block_tokens(model, plain_tokenizer)
    with torch.no_grad():
        for weight in embeddings_of(model):
            weight[400:] += 1
    if published:  # whose models stop at the end of texts; their folder has the tokenizer
        model.generation_config.eos_token_id = plain_tokenizer.eos_token_id
    model.save_pretrained(tmp_path)
    plain_tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = type(plain_tokenizer).from_pretrained(tmp_path)
    add_block_tokens(loaded, tokenizer, config := LoraConfig())
    for weight, trained in zip(embeddings_of(loaded), embeddings_of(model), strict=True):
        assert torch.equal(weight, trained)
    assert config.trainable_token_indices is None


def test_tokens_of_the_model_s_own_stay_when_another_training_added_the_rest(plain_tokenizer, make_model, tmp_path):
    """Phi-3 has `<|user|>`: of a tokenizer with all seven, only the others are new to the base model."""
    plain_tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>"]})
    make_model(CONFIGS["room to spare"]()).save_pretrained(tmp_path)
    plain_tokenizer.save_pretrained(tmp_path)
    add_block_tokens(make_model(CONFIGS["room to spare"]()), plain_tokenizer)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    before = model.get_input_embeddings().weight.detach().clone()
    add_block_tokens(model, plain_tokenizer)
    changed = (model.get_input_embeddings().weight != before).any(1).nonzero().flatten().tolist()
    assert changed == sorted(set(ids_of(plain_tokenizer)) - {400})


def test_an_adapter_over_a_model_without_the_tokens_is_refused(plain_tokenizer, make_model):
    model = make_model(CONFIGS["untied"]())
    add_block_tokens(model, plain_tokenizer, config := LoraConfig(target_modules=["q_proj"]))
    add_block_tokens(get_peft_model(model, config), plain_tokenizer)
    bare = make_model(CONFIGS["room to spare"]())
    with pytest.raises(
        ValueError, match=r"the model under the adapter was not trained with <\|user\|> .*pass the base model"
    ):
        add_block_tokens(get_peft_model(bare, LoraConfig(target_modules=["q_proj"])), plain_tokenizer)


def test_the_template_of_the_block_tokens_is_not_taken_for_a_chat_template(
    plain_tokenizer, make_model, mixed_rows, tmp_path
):
    add_block_tokens(make_model(CONFIGS["untied"]()), plain_tokenizer)
    with pytest.raises(
        ValueError, match=r"`rendering='chat'`, but the tokenizer has the template of the block tokens"
    ):
        make_trainer(make_model(CONFIGS["room to spare"]()), plain_tokenizer, mixed_rows, tmp_path)
