"""OCI image layouts for tests (image-spec), that can be made wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import zstandard

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Layout:
    """A layout on disk that can be made wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.manifests: list[dict[str, object]] = []

    def blob(self, raw: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(raw).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(raw)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(raw)}

    def image(
        self, layers: Sequence[bytes], architecture: str = "amd64", **row: object
    ) -> dict[str, object]:
        """One image of these plain layers, packed by turns as it is, by gzip and by zstd."""
        ways = (
            ("", lambda raw: raw),
            ("+gzip", gzip.compress),
            ("+zstd", zstandard.ZstdCompressor().compress),
        )
        rows = []
        for place, layer in enumerate(layers):
            suffix, pack = ways[place % 3]
            rows.append({**self.blob(pack(layer), f"{_LAYER}{suffix}"), **row})
        plain = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        document = {
            "schemaVersion": 2,
            "config": self.blob(
                json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"
            ),
            "layers": rows,
        }
        manifest = self.blob(json.dumps(document).encode(), _MANIFEST)
        manifest["platform"] = {"architecture": architecture, "os": "linux"}
        self.manifests.append(manifest)
        return manifest

    def finish(self) -> Path:
        index = {"schemaVersion": 2, "manifests": self.manifests}
        (self.folder / "index.json").write_text(json.dumps(index))
        return self.folder

    def as_tar(self, target: Path, prefix: str = "") -> Path:
        self.finish()
        with tarfile.open(target, "w") as archive:
            for path in sorted(self.folder.rglob("*")):
                name = prefix + str(path.relative_to(self.folder))
                if path.is_file():
                    raw = path.read_bytes()
                    member = tarfile.TarInfo(name)
                    member.size = len(raw)
                    archive.addfile(member, io.BytesIO(raw))
        return target
