"""Where secrets live: one root key per plan in a vault, everything else sealed under that key."""

from __future__ import annotations

from vtune_client.vault.choose import open_vault
from vtune_client.vault.interface import RootKey, Vault, new_key_id
from vtune_client.vault.seal import open_sealed, seal

__all__ = ["RootKey", "Vault", "new_key_id", "open_sealed", "open_vault", "seal"]
