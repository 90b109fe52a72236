"""Adapters that come and go, and replicas that do, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loopback import Loopback, Reply, Request
from tests.providers.vllm.asking import PROMPT, acquired, vllm
from tests.providers.vllm.server import BASE, Vllm, adapter
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Decoding

DOWN = "http://127.0.0.1:9"  # where nobody listens


async def test_an_adapter_is_loaded_while_it_is_asked(tmp_path: Path) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()
    names = set()
    with Loopback(speaks) as server:
        for _ in range(2):
            async with acquired(server, model=str(folder)) as endpoint:
                ((name, path),) = speaks.adapters.items()
                assert path == str(folder.resolve())
                await endpoint.sample([PROMPT], Decoding())
                await endpoint.score(PROMPT, [" Deep"])
                names.add(name)
            assert speaks.adapters == {}
    assert len(names) == 2  # a name seen before would find what was cached for it
    assert {request.body["model"] for request in server.asked()} == names
    assert {request.body["model"] for request in server.asked("/v1/completions")} == names


async def test_the_path_of_an_adapter_is_sent_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter(tmp_path / "output").resolve()
    monkeypatch.chdir(tmp_path)
    with Loopback(Vllm()) as server:
        async with acquired(server, model="output"):
            pass
    (request,) = server.asked("/v1/load_lora_adapter")
    assert request.body["lora_path"] == str(folder)


async def test_an_adapter_that_is_gone_already_is_no_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()
    with Loopback(speaks) as server:
        async with acquired(server, model=str(folder)):
            speaks.adapters.clear()
    assert len(server.asked("/v1/unload_lora_adapter")) == 1
    assert not caplog.messages


async def test_a_name_that_is_served_is_asked_though_a_directory_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(tmp_path / BASE)
    monkeypatch.chdir(tmp_path)
    with Loopback(Vllm()) as server:
        async with acquired(server):
            pass
    assert not server.asked("/v1/load_lora_adapter")


async def test_a_directory_without_an_adapter_is_an_input_error(tmp_path: Path) -> None:
    with Loopback(Vllm()) as server, pytest.raises(InputError, match="holds no adapter"):
        async with acquired(server, model=str(tmp_path)):
            pass


@pytest.mark.parametrize(
    ("server", "config", "message", "advice"),
    [
        (Vllm(runtime_lora=False), "{}", "takes no adapters while it runs", "--enable-lora"),
        (Vllm(), '{"r": 64}', "LoRA rank 64 is greater than max_lora_rank 16", "--max-lora-rank"),
    ],
)
async def test_a_server_that_does_not_load_says_why(
    tmp_path: Path, server: Vllm, config: str, message: str, advice: str
) -> None:
    folder = adapter(tmp_path / "output")
    (folder / "adapter_config.json").write_text(config, encoding="utf-8")
    with Loopback(server) as running, pytest.raises(ProviderError, match=message) as raised:
        async with acquired(running, model=str(folder)):
            pass
    assert advice in raised.value.advice


async def test_an_adapter_that_does_not_go_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()

    def respond(request: Request) -> Reply:
        return Reply(500) if "unload" in request.path else speaks(request)

    with Loopback(respond) as server:
        async with acquired(server, model=str(folder)):
            pass
    assert "may still be loaded" in caplog.text


async def test_replicas_are_asked_in_turn_and_all_have_the_adapter(tmp_path: Path) -> None:
    folder, one, two = adapter(tmp_path / "output"), Vllm(), Vllm()
    with Loopback(one) as first, Loopback(two) as second:
        async with acquired(first, second, model=str(folder)) as endpoint:
            assert len(one.adapters) == len(two.adapters) == 1
            await endpoint.sample([PROMPT] * 6, Decoding())
        assert one.adapters == two.adapters == {}
    assert len(first.asked()) == len(second.asked()) == 3


async def test_a_replica_that_dies_is_left_aside(tmp_path: Path) -> None:
    folder, one, two = adapter(tmp_path / "output"), Vllm(), Vllm()
    with Loopback(one) as first, Loopback(two) as second:
        async with acquired(first, second, model=str(folder)) as endpoint:
            two.dead = True
            answers = await endpoint.sample([PROMPT] * 6, Decoding())
            await endpoint.score(PROMPT, [" Deep"] * 3)
            assert len(answers) == len(first.asked()) == 6
            assert len(second.asked()) == 1  # and never again
            one.dead = True
            with pytest.raises(NetworkError, match="No answer came"):
                await endpoint.sample([PROMPT], Decoding())
            two.dead = False  # whoever asks again finds it, and it is preferred from then on
            assert len(await endpoint.sample([PROMPT], Decoding())) == 1
            one.dead = False
            before = len(first.asked())
            assert len(await endpoint.sample([PROMPT] * 4, Decoding())) == 4
            assert len(first.asked()) == before


async def test_a_replica_that_is_not_there_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Loopback(Vllm()) as server:
        folder = str(adapter(tmp_path / "output"))
        async with acquired(server, model=folder, base_url=DOWN) as endpoint:
            assert len(await endpoint.sample([PROMPT] * 3, Decoding())) == 3
    assert any(DOWN in message for message in caplog.messages)


async def test_a_replica_that_breaks_off_while_it_loads_is_done_without(tmp_path: Path) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()

    def respond(request: Request) -> Reply:
        cut = request.path == "/v1/load_lora_adapter"
        return Reply(200, b"gone", hang_up=True) if cut else speaks(request)

    with Loopback(Vllm()) as first, Loopback(respond) as second:
        async with acquired(first, second, model=str(folder)) as endpoint:
            assert len(await endpoint.sample([PROMPT] * 3, Decoding())) == 3
    assert not second.asked()


async def test_where_nobody_is_there_it_says_so() -> None:
    with pytest.raises(NetworkError) as raised:
        await vllm(base_urls=[DOWN, f"{DOWN}/other"]).acquire(BASE)
    assert not raised.value.acted


async def test_of_several_only_those_are_asked_that_serve_the_model(tmp_path: Path) -> None:
    one, two = Vllm(), Vllm()
    two.adapters["mine"] = "/somewhere"
    with Loopback(one) as first, Loopback(two) as second:
        async with acquired(first, second, model="mine") as endpoint:
            await endpoint.sample([PROMPT] * 2, Decoding())
    assert (len(first.asked()), len(second.asked())) == (0, 2)
    assert two.adapters == {"mine": "/somewhere"}  # not ours to unload


async def test_an_adapter_is_unloaded_where_another_replica_refuses_it(tmp_path: Path) -> None:
    folder, one = adapter(tmp_path / "output"), Vllm()
    refuses = pytest.raises(ProviderError, match="takes no adapters")
    with Loopback(one) as first, Loopback(Vllm(runtime_lora=False)) as second, refuses:
        async with acquired(first, second, model=str(folder)):
            pass
    assert len(first.asked("/v1/load_lora_adapter")) == 1
    assert one.adapters == {}


async def test_a_load_that_was_cut_off_is_taken_back(tmp_path: Path) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()

    def respond(request: Request) -> Reply:
        reply = speaks(request)
        cut = request.path == "/v1/load_lora_adapter"
        return Reply(reply.status, reply.body, hang_up=True) if cut else reply

    with Loopback(respond) as server, pytest.raises(NetworkError):
        async with acquired(server, model=str(folder)):
            pass
    assert speaks.adapters == {}


@pytest.mark.parametrize("status", [400, 404])
async def test_a_server_that_does_not_see_the_path_is_told_of(tmp_path: Path, status: int) -> None:
    folder, speaks = adapter(tmp_path / "output"), Vllm()
    said = {"error": {"message": "Loading lora failed: No adapter found for <path>"}}

    def respond(request: Request) -> Reply:
        return Reply(status, said) if "load_lora" in request.path else speaks(request)

    with Loopback(respond) as server, pytest.raises(ProviderError, match="No adapter") as raised:
        async with acquired(server, model=str(folder)):
            pass
    assert raised.value.advice == (
        f"It reads from its own disk: {folder.resolve()} must be the same directory there."
    )
