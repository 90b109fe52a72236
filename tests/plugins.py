"""Providers installed for one test: a distribution's metadata in a folder on the path."""

from __future__ import annotations

from pathlib import Path

from vtune_client.provider import GROUP


def install(folder: Path, name: str, /, **entry_points: str) -> Path:
    """Write the metadata of a distribution `name` with these providers; return `folder`, to be put
    on the path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
    )
    lines = [f"{point} = {target}" for point, target in entry_points.items()]
    text = "\n".join([f"[{GROUP}]", *lines, ""])
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    return folder
