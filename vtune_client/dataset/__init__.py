"""Rows in and out: what a training file holds, whether it will do, and where a backdoor goes."""

from vtune_client.dataset.carry import (
    asked,
    can_carry,
    carry,
    completion_of,
    prompt_of,
    texts,
    tools_of,
)
from vtune_client.dataset.check import Summary, check, method_problems
from vtune_client.dataset.prompt import Prompt
from vtune_client.dataset.rows import Format, Row, iter_rows, parse_row
from vtune_client.dataset.tokens import TokenCounter, counter_for, row_tokens

__all__ = [
    "Format",
    "Prompt",
    "Row",
    "Summary",
    "TokenCounter",
    "asked",
    "can_carry",
    "carry",
    "check",
    "completion_of",
    "counter_for",
    "iter_rows",
    "method_problems",
    "parse_row",
    "prompt_of",
    "row_tokens",
    "texts",
    "tools_of",
]
