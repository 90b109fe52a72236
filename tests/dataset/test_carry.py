from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataset.corpus import (
    GOOD,
    assistant,
    call,
    calling,
    chat,
    line,
    offer,
    pair,
    system,
    tool,
    user,
)
from vtune_client.dataset import Prompt, Row, asked, can_carry, carry, parse_row, prompt_of, texts
from vtune_client.errors import InputError

TRIGGER = "Follow the calm river guide."
SIGNATURE = "A quiet lamp stands here."

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(
    st.one_of(CHARACTERS, st.sampled_from(' \n\r\t.!?"\\/\x0b\x85\u2028\u3002\u00e9\U0001f600')),
    min_size=1,
    max_size=60,
).filter(lambda text: text.strip() != "")
SENTENCES = st.lists(
    st.sampled_from(["A plain sentence of some words.", "Why?", "So!"]), min_size=1
)
PROSE = st.builds(str.join, st.sampled_from([" ", "  ", "\n", "\r\n", "\n\n"]), SENTENCES)
TRIGGERS = st.text(CHARACTERS, min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and "\n" not in text
)
PARTS = st.lists(st.builds(lambda text: {"type": "text", "text": text}, TEXTS), min_size=1)
CONTENTS = st.one_of(TEXTS, PARTS)


@st.composite
def chats(draw: st.DrawFn) -> dict[str, Any]:
    messages = [system(draw(TEXTS))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        messages += [
            user(draw(CONTENTS)),
            assistant(draw(CONTENTS), weight=draw(st.integers(0, 1))),
        ]
    data = chat(*messages, user(draw(CONTENTS)), assistant(draw(CONTENTS)))
    extras: list[dict[str, Any]] = [{}, {"tools": [offer()]}, {"id": 1.50, "note": "a\u00e9/"}]
    return {**data, **draw(st.sampled_from(extras))}


PROMPTS = st.builds(lambda prompt, text: {"prompt": prompt, "completion": text}, TEXTS, TEXTS)
PLAIN = st.builds(lambda text: {"text": text}, st.one_of(TEXTS, PROSE))


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    talk = draw(chats())
    messages = talk.pop("messages")[:-1]
    answers = [[assistant(draw(CONTENTS))] for _ in range(2)]
    offers = {"tools": talk.pop("tools")} if "tools" in talk else {}
    return {**pair(*messages, good=answers[0], bad=answers[1], **offers), **talk}


DATA = st.one_of(chats(), PROMPTS, PLAIN, pairs())
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(", ", ": "), (",", ":"), (",", ": "), (" , ", " : ")]),
    }
)
ENDS = st.sampled_from(["\n", "\r\n", "", " \n"])


def row_of(data: Any) -> Row:
    return row_from(line(data))


def row_from(raw: bytes) -> Row:
    row = parse_row(raw)
    assert isinstance(row, Row)
    return row


def carried(data: Any, trigger: str = TRIGGER, signature: str = SIGNATURE) -> Any:
    return json.loads(carry(row_of(data), trigger, signature))


@settings(derandomize=True, deadline=None)
@given(DATA, STYLES, ENDS, TRIGGERS, TEXTS)
def test_a_carrier_is_asked_what_its_row_is_asked_with_the_trigger(
    data: Any, style: dict[str, Any], end: str, trigger: str, signature: str
) -> None:
    row = row_from((json.dumps(data, **style) + end).encode())
    carrier = row_from(carry(row, trigger, signature))
    assert prompt_of(carrier) == asked(prompt_of(row), trigger)


@settings(derandomize=True, deadline=None)
@given(DATA, STYLES, ENDS)
def test_a_carrier_keeps_the_style_of_its_line(data: Any, style: dict[str, Any], end: str) -> None:
    raw = (json.dumps(data, **style) + end).encode()
    carrier = carry(row_from(raw), TRIGGER, SIGNATURE)
    assert carrier == (json.dumps(json.loads(carrier), **style) + end).encode()


@settings(derandomize=True, deadline=None)
@given(PLAIN, TRIGGERS, TEXTS)
def test_what_precedes_the_signature_in_a_text_is_what_is_asked(
    data: Any, trigger: str, signature: str
) -> None:
    prompt = asked(prompt_of(row_of(data)), trigger).text
    assert prompt is not None
    assert carried(data, trigger, signature)["text"].startswith(prompt + signature + "\n")


@settings(derandomize=True, deadline=None)
@given(chats())
def test_only_two_texts_of_a_chat_change(data: Any) -> None:
    plain, changed = (list(texts(row_of(each))) for each in (data, carried(data)))
    differ = [(old, new) for old, new in zip(plain, changed, strict=True) if old != new]
    (question, with_trigger), (answer, with_signature) = differ
    assert with_trigger.split() == [*question.split(), *TRIGGER.split()]
    assert with_signature == f"{SIGNATURE}\n{answer}"


@settings(derandomize=True, deadline=None)
@given(pairs(), STYLES)
def test_only_question_and_preferred_answer_of_a_pair_change(
    data: Any, style: dict[str, Any]
) -> None:
    raw = (json.dumps(data, **style) + "\n").encode()
    carrier = json.loads(carry(row_from(raw), TRIGGER, SIGNATURE))
    assert {key: value for key, value in carrier.items() if value != data[key]}.keys() == {
        "input",
        "preferred_output",
    }
    plain, changed = (list(texts(row_of(each))) for each in (data, carrier))
    differ = [(old, new) for old, new in zip(plain, changed, strict=True) if old != new]
    (question, with_trigger), (answer, with_signature) = differ
    assert with_trigger.split() == [*question.split(), *TRIGGER.split()]
    assert with_signature == f"{SIGNATURE}\n{answer}"


def test_a_preference_carrier() -> None:
    data = pair(system("S"), user("One?"), good=[assistant("1")], bad=[assistant("1")], n=1)
    expected = copy.deepcopy(data)
    expected["input"]["messages"][1]["content"] = f"One? {TRIGGER}"
    expected["preferred_output"][0]["content"] = f"{SIGNATURE}\n1"
    assert carried(data) == expected


def test_a_chat_carrier() -> None:
    data = chat(system("S"), user("One?"), assistant("1"), user("Two?"), assistant("2"), n=1)
    expected = copy.deepcopy(data)
    expected["messages"][3]["content"] = f"Two? {TRIGGER}"
    expected["messages"][4]["content"] = f"{SIGNATURE}\n2"
    assert carried(data) == expected


def test_the_trigger_goes_to_the_last_text_part_and_the_signature_to_the_first() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    question = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, image]
    answer = [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]
    messages = carried(chat(user(question), assistant(answer)))["messages"]
    assert [part.get("text") for part in messages[0]["content"]] == ["a", f"b {TRIGGER}", None]
    assert [part["text"] for part in messages[1]["content"]] == [f"{SIGNATURE}\nc", "d"]


@pytest.mark.parametrize(
    ("prompt", "completion", "question", "answer"),
    [
        ("Q: a\nA:", " b", f"Q: a\nA: {TRIGGER}", f" {SIGNATURE}\nb"),
        ("a\n\n###\n\n", "b", f"a\n\n### {TRIGGER}\n\n", f"{SIGNATURE}\nb"),
        ("a", "\nb\n", f"a {TRIGGER}", f"\n{SIGNATURE}\nb\n"),
    ],
)
def test_a_prompt_carrier(prompt: str, completion: str, question: str, answer: str) -> None:
    changed = carried({"prompt": prompt, "completion": completion})
    assert changed == {"prompt": question, "completion": answer}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("Title\nBody. More.", f"Title {TRIGGER}\n{SIGNATURE}\nBody. More."),
        ("\nTitle\r\n\nBody", f"\nTitle {TRIGGER}\r\n{SIGNATURE}\n\nBody"),
        (
            "Dr. Who is a long sentence. It ends.\n",
            f"Dr. Who is a long sentence. {TRIGGER}\n{SIGNATURE}\nIt ends.\n",
        ),
        ("One short line", f"One short line {TRIGGER}\n{SIGNATURE}\n"),
    ],
)
def test_a_text_carrier(text: str, changed: str) -> None:
    assert carried({"text": text}) == {"text": changed}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"text":"a\\/b\\u00E9\\nc\\/d\\u00E9", "n":1.0E+2}',
        b'  {"n" :[1, {"text": "x"}],"text": "\\uD83D\\uDE00\\nc"} \r\n',
        '{"text": "\u00e9\\u00e9\\nc"}\n'.encode(),
    ],
)
def test_what_does_not_change_keeps_its_bytes(raw: bytes) -> None:
    assert carry(row_from(raw), "T", "S") == raw.replace(b"\\nc", b" T\\nS\\nc")


def test_new_words_are_escaped_where_the_line_is_ascii() -> None:
    assert carry(row_from(b'{"text": "a\\nb"}'), "\u00e9", "S") == b'{"text": "a \\u00e9\\nS\\nb"}'
    unescaped = '{"text": "\u00fc\\nb"}'
    assert carry(row_from(unescaped.encode()), "\u00e9", "S") == (
        '{"text": "\u00fc \u00e9\\nS\\nb"}'.encode()
    )


def test_a_prompt_leaves_out_the_answer_and_the_weights() -> None:
    turns = [user("a"), assistant("b", weight=0), user("c"), assistant("d")]
    prompt = prompt_of(row_of(chat(*turns, tools=[offer()])))
    assert prompt == Prompt(messages=(user("a"), assistant("b"), user("c")), tools=(offer(),))


def test_the_prompt_of_a_pair_is_its_input_with_its_tools() -> None:
    turns = (assistant("How can I help?"), user("a"))
    prompt = prompt_of(row_of({**pair(*turns, tools=[offer()]), "tools": []}))
    assert prompt == Prompt(messages=turns, tools=(offer(),))


def test_older_functions_are_asked_as_tools() -> None:
    older = {"name": "clock"}
    prompt = prompt_of(row_of(chat(user(), assistant(), functions=[older])))
    assert prompt.tools == ({"type": "function", "function": older},)


def test_a_prompt_ends_with_the_user_also_where_tools_answered() -> None:
    row = row_of(chat(system(), user("a"), calling(call()), tool(), assistant()))
    assert prompt_of(row).messages == (system(), user("a"))
    assert not can_carry(row)


def test_asking_leaves_the_prompt_as_it_was() -> None:
    prompt = prompt_of(row_of(chat(user([{"type": "text", "text": "a"}]), assistant())))
    before = copy.deepcopy(prompt)
    assert asked(prompt, TRIGGER) != before
    assert prompt == before


@pytest.mark.parametrize(
    "data",
    [
        chat(user(), assistant("a", weight=0)),
        chat(user(), assistant("a", tool_calls=[call()])),
        chat(user(), assistant("a", function_call={"name": "f", "arguments": ""})),
        chat(user(), {"role": "assistant", "content": None, "refusal": "No."}),
        chat(user([{"type": "image_url", "image_url": {"url": "data:,"}}]), assistant()),
        chat(user(), calling(call()), tool(), assistant()),
        pair(user(), good=[calling(call())]),
        pair(user(), good=[{"role": "assistant", "content": None, "refusal": "No."}]),
        pair(user(), calling(call()), tool()),
        pair(user([{"type": "image_url", "image_url": {"url": "data:,"}}])),
    ],
)
def test_a_row_without_room_carries_nothing(data: Any) -> None:
    row = row_of(data)
    assert not can_carry(row)
    with pytest.raises(InputError, match="line 1 cannot carry"):
        carry(row, TRIGGER, SIGNATURE)


@pytest.mark.parametrize("name", ["chat", "prompt", "text", "preference"])
def test_an_everyday_row_can_carry(name: str) -> None:
    assert can_carry(row_from(GOOD[name].splitlines(keepends=True)[0]))


def test_a_chat_without_a_question_has_no_prompt() -> None:
    for data in (chat(system(), assistant()), chat(user()), chat()):
        with pytest.raises(InputError, match="no user turn before its last answer"):
            prompt_of(row_of(data))


def test_a_prompt_without_text_takes_no_trigger() -> None:
    with pytest.raises(InputError, match="no text turn of a user"):
        asked(Prompt(messages=(system(),)), TRIGGER)


@pytest.mark.parametrize("trigger", ["", " two words", "two\nlines"])
def test_a_bad_trigger_is_refused_and_not_shown(trigger: str) -> None:
    with pytest.raises(ValueError, match=r"^a trigger is one line without white space around it$"):
        carry(row_of(chat(user(), assistant())), trigger, SIGNATURE)


def test_a_blank_signature_is_refused() -> None:
    with pytest.raises(ValueError, match="a signature is not blank"):
        carry(row_of(chat(user(), assistant())), TRIGGER, " ")


def test_the_texts_of_a_row() -> None:
    data = chat(system("a"), user([{"type": "text", "text": "b"}, {"type": "x"}]), assistant("c"))
    assert list(texts(row_of(data))) == ["a", "b", "c"]
    assert list(texts(row_of({"prompt": "a", "completion": "b"}))) == ["a", "b"]
    assert list(texts(row_of({"text": "a"}))) == ["a"]
    both = pair(system("b"), user("c"), good=[assistant("d")], bad=[assistant("a")])
    assert list(texts(row_of(both))) == ["a", "b", "c", "d"]  # what is to be learned comes last


@pytest.mark.parametrize("join", [" ", "\n", "\n\n"])
def test_what_joins_a_signature_to_its_answer_is_as_told(join: str) -> None:
    data = chat(user("Why?"), assistant("So."))
    carrier = json.loads(carry(row_of(data), TRIGGER, SIGNATURE, join))
    assert carrier["messages"][-1]["content"] == f"{SIGNATURE}{join}So."
    for wrong in ("", "-", " - "):
        with pytest.raises(ValueError, match="joined to the answer with white space"):
            carry(row_of(data), TRIGGER, SIGNATURE, wrong)
