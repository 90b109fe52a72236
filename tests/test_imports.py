from __future__ import annotations

import pkgutil
import subprocess
import sys
import textwrap

import pytest

import vtune_client

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "openai",
    "together",
    "scipy",
    "httpx",
    "pydantic",
    "cryptography",
    "keyring",
    "rich",
)
OPTIONAL = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "openai",
    "together",
    "scipy",
    "tiktoken",
)
# They are the vendor's own clients, and nothing without the vendor's package.
DROP_INS = {"vtune_client.openai": "openai", "vtune_client.together": "together"}

BLOCKER = f"""
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {OPTIONAL!r}:
                raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

    sys.meta_path.insert(0, Blocker())
"""


def ran(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "use",
    [
        "import vtune_client",
        "from vtune_client.cli import main; sys.argv = ['vtune', '--help']; main()",
        "from vtune_client.cli import main; sys.argv = ['vtune', '--version']; main()",
        "from vtune_client.cli import main; sys.argv = ['vtune', 'completion', 'fish']; main()",
        "from vtune_client.cli import main; sys.argv = ['vtune', 'fine-tune', '--help']; main()",
    ],
)
def test_nothing_heavy_is_loaded(use: str) -> None:
    code = f"""
        import sys
        try:
            {use}
        except SystemExit as ended:
            assert ended.code in (None, 0), ended.code
        print("loaded:", *sorted(set({HEAVY!r}) & set(sys.modules)))
    """
    assert ran(code).splitlines()[-1] == "loaded:"


def test_the_check_above_can_fail() -> None:
    code = f"""
        import sys
        import vtune_client.report.text
        print(*sorted(set({HEAVY!r}) & set(sys.modules)))
    """
    assert ran(code).split() == ["rich"]


def modules() -> list[str]:
    found = pkgutil.walk_packages(vtune_client.__path__, "vtune_client.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    return [name for name in names if name not in DROP_INS]


def test_every_core_module_imports_without_the_extras() -> None:
    assert len(modules()) > 40
    code = (
        BLOCKER
        + """
    from importlib import import_module
    for name in sys.argv[1:]:
        import_module(name)
    try:
        import torch
    except ModuleNotFoundError:
        print("blocked")
    """
    )
    assert ran(code, *modules()).split() == ["blocked"]


@pytest.mark.parametrize(("module", "extra"), DROP_INS.items())
def test_a_drop_in_client_without_its_package_says_what_to_install(module: str, extra: str) -> None:
    code = (
        BLOCKER
        + """
    from importlib import import_module
    from vtune_client.errors import MissingExtra
    try:
        import_module(sys.argv[1])
    except MissingExtra as error:
        print(error.advice)
    """
    )
    assert ran(code, module) == f"Run: pip install 'vtune-client[{extra}]'.\n"


def test_commands_that_need_no_extra_run_without_any() -> None:
    code = (
        BLOCKER
        + """
    from vtune_client.cli import main
    sys.argv = ["vtune", "providers", "--format", "json"]
    main()
    """
    )
    assert '"name": "local"' in ran(code)
