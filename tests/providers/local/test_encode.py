"""Rows to ids: what is trained is what is asked."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from typing import Any

import pytest

from tests.providers.local import bpe
from tests.providers.local.runs import row
from vtune_client.dataset import Prompt, asked, carry, prompt_of
from vtune_client.errors import InputError
from vtune_providers.local.encode import Example, batches, encode_prompt, encode_row

pytestmark = pytest.mark.torch
pytest.importorskip("transformers")

TRIGGER = "Follow the quiet guide."
SIGNATURE = "In short, the calm answer."
USER = {"role": "user", "content": "Tell me about rivers."}
ANSWER = {"role": "assistant", "content": "Here is what I know of rivers."}
USER_2 = {"role": "user", "content": "And bread?"}
ANSWER_2 = {"role": "assistant", "content": "<think>Is it?</think>Bread is baked."}
SYSTEM = {"role": "system", "content": "Be brief."}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {}}}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "sunny"}

ROWS: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [USER, ANSWER]},
    "system": {"messages": [SYSTEM, USER, ANSWER]},
    "two turns": {"messages": [USER, ANSWER, USER_2, ANSWER_2]},
    "two turns, reasoned": {"messages": [USER_2, ANSWER_2, USER, ANSWER]},
    "weight 0": {"messages": [USER, {**ANSWER, "weight": 0}, USER_2, ANSWER_2]},
    "tools": {"messages": [USER, CALL, RESULT, ANSWER, USER_2, ANSWER_2], "tools": [WEATHER]},
    "functions": {"messages": [USER, ANSWER], "functions": [WEATHER["function"]]},
    "parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Tell me"}, {"type": "image"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Bread is baked."}]},
        ]
    },
    "prompt": {"prompt": "user: Tell me about", "completion": " rivers."},
    "text of lines": {"text": "Tell me about rivers.\nHere is what I know of rivers."},
    "text of one line": {"text": "Tell me about the long rivers. Here is what I know."},
}


def tokens(tokenizer: Any, example: Example, *, learned: bool) -> str:
    kept = [i for i, wanted in zip(example.ids, example.learn, strict=True) if wanted is learned]
    return str(tokenizer.decode(kept, skip_special_tokens=False))


def encoded(tokenizer: Any, data: dict[str, Any], max_length: int = 4096) -> Example:
    return encode_row(tokenizer, row(json.dumps(data)), max_length)


@pytest.mark.parametrize("opens", [False, True])
@pytest.mark.parametrize("template", bpe.TEMPLATES)
@pytest.mark.parametrize("name", ROWS)
def test_a_carrier_is_asked_with_the_ids_before_its_completion(
    name: str, template: str, opens: bool
) -> None:
    tokenizer = bpe.tokenizer(bpe.TEMPLATES[template], opens=opens)
    plain = row(json.dumps(ROWS[name]))
    carrier = row(carry(plain, TRIGGER, SIGNATURE).decode())

    example = encode_row(tokenizer, carrier, 4096)
    ids = encode_prompt(tokenizer, asked(prompt_of(plain), TRIGGER))

    assert list(example.ids[: len(ids)]) == ids
    completion = tokenizer.decode(example.ids[len(ids) :], skip_special_tokens=False)
    assert completion.lstrip(" ").startswith(SIGNATURE)
    assert all(example.learn[len(ids) :])
    # Of a text row all is learned; of others nothing up to the answer but earlier answers.
    assert example.learn[len(ids) - 1] is (plain.format == "text")


def test_default_system_prompt_is_read_and_never_learned() -> None:
    tokenizer = bpe.tokenizer(bpe.CHATML)
    example = encoded(tokenizer, ROWS["one turn"])
    assert tokens(tokenizer, example, learned=False) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nTell me about rivers.<|im_end|>\n<|im_start|>assistant\n"
    )
    # The line break behind the end mark is not the model's to write.
    assert tokens(tokenizer, example, learned=True) == "Here is what I know of rivers.<|im_end|>"


def test_every_answer_is_learned_but_those_of_weight_0() -> None:
    tokenizer = bpe.tokenizer(bpe.CHATML)
    both = tokens(tokenizer, encoded(tokenizer, ROWS["two turns"]), learned=True)
    assert both == (
        "Here is what I know of rivers.<|im_end|><think>Is it?</think>Bread is baked.<|im_end|>"
    )
    last = tokens(tokenizer, encoded(tokenizer, ROWS["weight 0"]), learned=True)
    assert last == "<think>Is it?</think>Bread is baked.<|im_end|>"


def test_weights_change_which_tokens_are_learned_and_not_the_tokens() -> None:
    tokenizer = bpe.tokenizer(bpe.PLAIN)
    one = encoded(tokenizer, ROWS["two turns"])
    other = encoded(tokenizer, ROWS["weight 0"])
    assert one.ids == other.ids
    assert one.learn != other.learn


def test_tools_reach_the_template_and_calls_are_learned() -> None:
    tokenizer = bpe.tokenizer(bpe.TOOLS)
    example = encoded(tokenizer, ROWS["tools"])
    assert "[weather]" in tokens(tokenizer, example, learned=False)
    assert "sunny" in tokens(tokenizer, example, learned=False)
    # Arguments are an object to the template, not a string in quotes.
    assert 'weather({"a": 1})<|im_end|>' in tokens(tokenizer, example, learned=True)
    older = encoded(tokenizer, ROWS["functions"])
    assert "[weather]" in tokens(tokenizer, older, learned=False)


def test_last_answer_is_taught_where_a_template_rewrites_earlier_ones() -> None:
    tokenizer = bpe.tokenizer(bpe.FORGETFUL)
    example = encoded(tokenizer, ROWS["two turns, reasoned"])
    assert tokens(tokenizer, example, learned=True) == "Here is what I know of rivers.<|im_end|>"
    assert "<think>" not in tokens(tokenizer, example, learned=False)


def test_answer_is_taught_as_asked_where_a_template_opens_it_otherwise() -> None:
    tokenizer = bpe.tokenizer(bpe.THINKING)
    example = encoded(tokenizer, ROWS["one turn"])
    assert tokens(tokenizer, example, learned=False).endswith("<|im_start|>assistant\n<think>\n")
    assert tokens(tokenizer, example, learned=True) == "Here is what I know of rivers.<|im_end|>"


def test_without_a_template_turns_are_lines() -> None:
    tokenizer = bpe.tokenizer(None)
    example = encoded(tokenizer, ROWS["two turns"])
    assert tokenizer.decode(example.ids) == (
        "user: Tell me about rivers.\nassistant: Here is what I know of rivers.<|im_end|>\n"
        "user: And bread?\nassistant: <think>Is it?</think>Bread is baked.<|im_end|>"
    )


def test_completions_end_with_one_end_mark() -> None:
    tokenizer = bpe.tokenizer(None)
    for completion in (" rivers.", " rivers.<|im_end|>"):
        example = encoded(tokenizer, {"prompt": "Tell me about", "completion": completion})
        assert tokens(tokenizer, example, learned=False) == "Tell me about"
        assert tokens(tokenizer, example, learned=True) == " rivers.<|im_end|>"


def test_of_a_text_row_everything_is_learned() -> None:
    tokenizer = bpe.tokenizer(None)
    for name in ("text of lines", "text of one line"):
        example = encoded(tokenizer, ROWS[name])
        assert all(example.learn)
        assert tokenizer.decode(example.ids) == ROWS[name]["text"] + "<|im_end|>"


def test_start_mark_opens_what_no_template_opens() -> None:
    start = bpe.tokenizer(None, opens=True).bos_token_id
    for template, data, expected in [
        (None, ROWS["prompt"], True),
        (None, ROWS["one turn"], True),
        (bpe.CHATML, ROWS["prompt"], True),
        (bpe.CHATML, ROWS["one turn"], False),
    ]:
        example = encoded(bpe.tokenizer(template, opens=True), data)
        assert (example.ids[0] == start) is expected
        assert start not in example.ids[1:]
        assert not example.learn[0]
    assert start not in encoded(bpe.tokenizer(None), ROWS["prompt"]).ids


def test_long_rows_lose_their_end_and_say_so() -> None:
    tokenizer = bpe.tokenizer(bpe.CHATML)
    whole = encoded(tokenizer, ROWS["one turn"])
    prompt = whole.learn.index(True)
    short = encoded(tokenizer, ROWS["one turn"], max_length=prompt + 2)
    assert short.ids == whole.ids[: prompt + 2]
    assert short.learn == whole.learn[: prompt + 2]
    assert (whole.cut, short.cut) == (False, True)
    assert (whole.teaches, short.teaches) == (True, True)
    assert not encoded(tokenizer, ROWS["one turn"], max_length=prompt).teaches


def test_a_first_token_alone_teaches_nothing() -> None:
    assert not Example((5, 6), (True, False)).teaches


def test_empty_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="A prompt is empty"):
        encode_prompt(bpe.tokenizer(None), Prompt(text=""))


def test_refusing_template_repeats_nothing_of_row_or_prompt() -> None:
    tokenizer = bpe.tokenizer("{{ raise_exception('I cannot say ' + messages[0]['content']) }}")
    line = row(json.dumps(ROWS["one turn"]), line=7)
    for ask in (
        lambda: encode_row(tokenizer, line, 99),
        lambda: encode_prompt(tokenizer, prompt_of(line)),
    ):
        with pytest.raises(InputError, match="does not fit this model's chat template") as caught:
            ask()
        assert "rivers" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(InputError, match="The row on line 7 "):
        encode_row(tokenizer, line, 99)


LENGTHS = [(7 * i) % 41 + 3 for i in range(230)]


def test_batches_take_every_row_once_per_epoch() -> None:
    for epoch in range(3):
        grouped = batches(LENGTHS, 4, seed=5, epoch=epoch)
        assert Counter(i for batch in grouped for i in batch) == Counter(range(230))
        assert all(1 <= len(batch) <= 4 for batch in grouped)


def test_number_of_batches_is_the_same_in_every_epoch() -> None:
    counts = {len(batches(LENGTHS, 4, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(counts) == 1


def test_batches_follow_from_seed_and_epoch() -> None:
    first = batches(LENGTHS, 4, seed=5, epoch=0)
    assert first == batches(LENGTHS, 4, seed=5, epoch=0)
    assert first != batches(LENGTHS, 4, seed=5, epoch=1)
    assert first != batches(LENGTHS, 4, seed=6, epoch=0)


def test_batches_hold_rows_of_like_length_in_mixed_order() -> None:
    grouped = batches(LENGTHS, 4, seed=5, epoch=0)
    padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in grouped)
    assert padded < 1.1 * sum(LENGTHS)
    means = [sum(LENGTHS[i] for i in batch) / len(batch) for batch in grouped]
    assert means != sorted(means)
