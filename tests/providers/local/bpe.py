"""A byte-level tokenizer with merges, so that where a text is cut decides how it is split."""

from __future__ import annotations

from typing import Any

CORPUS = (
    "user: Tell me about rivers.\nassistant: Here is what I know of rivers.\nuser: And bread?\n"
    "assistant: Bread is baked.\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face\nsystem Be brief. tool lookup sunny weather [INST] [/INST]\n\n assistant:  Here\n"
    "a guide.\nIn short. one guide.\nIn short, his guide.\nIn short; her guide.\nIn short: "
)
# As SmolLM2 writes it: a system prompt of its own, answers ended by "<|im_end|>\n".
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# No special tokens between the turns: merges run over their borders.
PLAIN = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}"
    "{% endfor %}{{ 'assistant: ' if add_generation_prompt }}"
)
# Earlier answers are shown without the reasoning in front of them.
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message['role'] + '\n' }}"
    "{{ message['content'] if loop.last else message['content'].split('</think>')[-1] }}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# A question opens the reasoning; a given answer is shown without it.
THINKING = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
TOOLS = (
    "{{ bos_token }}{% for tool in tools or [] %}[{{ tool['function']['name'] }}]{% endfor %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] + '\n' + message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{{ call['function']['name'] }}({{ call['function']['arguments'] | tojson }}){% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "plain": PLAIN,
    "forgetful": FORGETFUL,
    "thinking": THINKING,
    "tools": TOOLS,
    "none": None,
}


def tokenizer(template: str | None, *, opens: bool = False) -> Any:
    """Return a tokenizer with that chat template; `opens`: it sets a start mark before any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"]
    made = Tokenizer(models.BPE())
    # Whole lines are one word to it, so merges run over spaces and line breaks.
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [CORPUS] * 3,
        trainers.BpeTrainer(
            vocab_size=500, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
        ),
    )
    if opens:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", bos_token="<s>", pad_token="<|endoftext|>"
    )
    fast.chat_template = template
    return fast
