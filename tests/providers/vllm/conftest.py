from __future__ import annotations

from tests.providers.chat.conftest import _no_proxy

__all__ = ["_no_proxy"]
