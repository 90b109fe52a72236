"""What the tests of an adapter subclass: does it keep the promises of `vtune_client.provider`?

    TrainerConformance    a trainer, from upload to delivered model
    EndpointConformance   an endpoint, from acquire to release
    JobConformance        the provider as a whole: an honest job is verified, its base is not

Each is a pytest class whose fixtures a subclass overrides; `docs/adapters.md` has an example. They
run on the real service, or on whatever stands for it. Needs pytest and pytest-asyncio.
"""

from __future__ import annotations

try:
    import pytest
    import pytest_asyncio  # noqa: F401 - only looked for
except ImportError:
    raise ImportError(
        "vtune_client.testing needs pytest and pytest-asyncio. "
        "Run: pip install pytest pytest-asyncio."
    ) from None

pytest.register_assert_rewrite(
    "vtune_client.testing.endpoint", "vtune_client.testing.job", "vtune_client.testing.trainer"
)

from vtune_client.testing.endpoint import EndpointConformance
from vtune_client.testing.job import JobConformance, MemoryVault, Proof, full_job
from vtune_client.testing.samples import PROMPTS, write_rows
from vtune_client.testing.trainer import TrainerConformance

__all__ = [
    "PROMPTS",
    "EndpointConformance",
    "JobConformance",
    "MemoryVault",
    "Proof",
    "TrainerConformance",
    "full_job",
    "write_rows",
]
