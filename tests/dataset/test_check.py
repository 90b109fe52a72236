from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest

from tests.dataset.corpus import (
    BROKEN,
    GOOD,
    assistant,
    calling,
    chat,
    chat_lines,
    line,
    pair,
    prompt_lines,
    user,
)
from vtune_client.dataset import Format, Summary, check, method_problems
from vtune_client.errors import DatasetError, InputError


def written(folder: Path, content: bytes) -> Path:
    path = folder / "train.jsonl"
    path.write_bytes(content)
    return path


def refused(path: Path, **options: object) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        check(path, **options)  # type: ignore[arg-type]
    return caught.value


def found(error: DatasetError) -> list[tuple[int, str]]:
    return [(problem.line, problem.reason) for problem in error.problems]


def test_the_corpus_is_large_enough() -> None:
    assert len(BROKEN) >= 45


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_by_line_and_reason(name: str, tmp_path: Path) -> None:
    broken = BROKEN[name]
    first = refused(written(tmp_path, broken.content)).problems[0]
    assert first.line == broken.line
    assert broken.reason in first.reason


@pytest.mark.parametrize("name", [name for name, broken in BROKEN.items() if broken.line > 1])
def test_one_fault_is_told_once(name: str, tmp_path: Path) -> None:
    error = refused(written(tmp_path, BROKEN[name].content))
    assert (len(error.problems), error.more) == (1, 0)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_passes(name: str, tmp_path: Path) -> None:
    content = GOOD[name]
    summary = check(written(tmp_path, content))
    assert summary.rows == len(content.splitlines())
    assert summary.bytes == len(content)
    assert summary.sha256 == hashlib.sha256(content).hexdigest()


def test_the_summary(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text": "eight by"}\n' * 9 + b'{"text": "and sixteen long"}\n')
    assert check(path) == Summary(
        path=path,
        format=Format.TEXT,
        rows=10,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size,
        tokens=9 * 2 + 4,
        token_counter="estimate (4 bytes a token)",
        longest_row_tokens=4,
    )


def test_no_such_file(tmp_path: Path) -> None:
    assert found(refused(tmp_path / "none.jsonl")) == [(0, "there is no such file")]


def test_a_folder(tmp_path: Path) -> None:
    assert "is a directory" in refused(tmp_path).problems[0].reason


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe").problems[0].reason


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / ("long" * 100)).problems[0].reason


def test_all_problems_come_in_one_pass_by_line(tmp_path: Path) -> None:
    lines = chat_lines()
    lines[1] = b"\n"
    lines[4] = line(chat({"role": "boss", "content": "a"}, {"role": "user"}))
    lines[7] = prompt_lines(1)[0]
    lines[9] = b"{\xff}\n"
    assert [problem.line for problem in refused(written(tmp_path, b"".join(lines))).problems] == [
        2,
        5,
        5,
        8,
        10,
    ]


def test_what_is_past_the_limit_is_counted(tmp_path: Path) -> None:
    error = refused(written(tmp_path, chat_lines(1)[0] + b"{}\n" * 30), limit=4)
    assert [problem.line for problem in error.problems] == [2, 3, 4, 5]
    assert error.more == 26
    assert "(and 29 more)" in str(error)


def test_a_problem_of_the_file_is_never_past_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, line(chat(user(), assistant(""))) * 3)
    assert [p.line for p in refused(path, limit=1, min_rows=4).problems] == [0, 1]


def test_a_format_that_the_provider_does_not_take(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD["text"])
    reason = "the rows are text rows; this provider takes chat or prompt rows"
    assert found(refused(path, formats=frozenset({"prompt", "chat"}))) == [(0, reason)]
    assert check(path, formats=frozenset({"text"})).format is Format.TEXT


@pytest.mark.parametrize("name", ["chat", "prompt", "text", "preference"])
def test_a_method_goes_with_its_format_alone(name: str, tmp_path: Path) -> None:
    summary = check(written(tmp_path, GOOD[name]))
    wrong, right = ("supervised", "dpo") if name == "preference" else ("dpo", "supervised")
    assert method_problems(summary, right) == ()
    [problem] = method_problems(summary, wrong)
    assert problem.line == 0
    assert f"the rows are {name} rows; the method '{wrong}' learns from " in problem.reason


def test_min_rows(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(chat_lines(3)))
    assert check(path, min_rows=3).rows == 3
    assert found(refused(path, min_rows=4)) == [(0, "too few rows: 3; at least 4 are needed")]


def test_a_row_over_the_token_limit(tmp_path: Path) -> None:
    long = b'{"text": "' + b"word " * 100 + b'"}\n'
    path = written(tmp_path, b"".join([b'{"text": "a word"}\n'] * 10 + [long]))
    assert check(path, max_row_tokens=125).longest_row_tokens == 125
    reason = (
        "about 125 tokens by estimate (4 bytes a token), over the limit of 124; "
        "shorten or split the row"
    )
    assert found(refused(path, max_row_tokens=124)) == [(11, reason)]


def test_a_line_past_the_cap_is_skipped_and_the_rest_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_client.dataset.rows.MAX_LINE", 2000)
    lines = chat_lines()
    lines[3] = b'{"text": "' + b"a" * 5000 + b'"}\n'
    lines[5] = b"\xff\n"
    offset = sum(len(each) for each in lines[:5])
    error = refused(written(tmp_path, b"".join(lines)))
    assert [problem.line for problem in error.problems] == [4, 6]
    assert "split the row" in error.problems[0].reason
    assert f"byte offset {offset} " in error.problems[1].reason


def test_reasons_do_not_say_what_a_row_says(tmp_path: Path) -> None:
    secret = "the launch code"
    rows = [
        line(chat({**user(secret), "weight": 1}, assistant(secret))),
        line(chat(user(secret), assistant([{"type": "text", "text": "", "x": secret}]))),
        line(chat(user(secret), calling({"id": secret}))),
        line({"text": secret}),
        line(pair(user(secret), assistant(secret), good=[], bad=[user(secret)])),
        line({"prompt": secret, "completion": ""}),
        line(secret),
        b'{"messages": "' + secret.encode() + b"\n",
        b'{"a": "' + secret.encode() + b' \xff"}\n',
    ]
    error = refused(written(tmp_path, b"".join(rows)))
    assert {problem.line for problem in error.problems} == set(range(1, len(rows) + 1))
    shown = " ".join([str(error), *map(str, error.problems)])
    assert "launch" not in shown


def test_a_dataset_error_blames_the_input(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.jsonl")
    assert isinstance(error, InputError)
    assert error.exit_code == 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = line(chat(user("a " * 5000), assistant("b " * 5000)))
    peaks = []
    for megabytes in (1, 20):
        path = written(tmp_path, row * (megabytes * 1_000_000 // len(row)))
        tracemalloc.start()
        check(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
