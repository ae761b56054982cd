"""The store: what goes in comes out, and nothing half is ever visible."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.artifact import Artifact, ArtifactError, Manifest
from ironwake.errors import UnknownError
from ironwake_runtime import artifacts
from ironwake_runtime.artifacts import ArtifactStore

BUILT = "2026-01-02T03:04:05+00:00"


def manifest(store: ArtifactStore, data: bytes = b"kernel") -> Manifest:
    artifact = store.add_bytes(data)
    return Manifest(
        "debian-12",
        "media",
        BUILT,
        "inputs",
        {"kernel": artifact},
        {"kernel": "vmlinuz"},
        {"packages": 7},
    )


@given(st.binary(max_size=5000))
def test_any_bytes_come_out_as_they_went_in(data: bytes) -> None:
    """The store keeps any bytes under their SHA-256, readable by others, once."""
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder))
        artifact = store.add_bytes(data)
        assert artifact == Artifact(hashlib.sha256(data).hexdigest(), len(data))
        assert store.add_bytes(data) == artifact
        path = store.path(artifact.sha256)
        assert path.read_bytes() == data
        assert path.relative_to(folder).parts[:2] == ("sha256", artifact.sha256[:2])
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_larger_than_one_chunk_is_whole(tmp_path: Path) -> None:
    """Files are read in pieces, and all pieces arrive."""
    source = tmp_path / "source"
    data = os.urandom((1 << 20) * 2 + 17)
    source.write_bytes(data)
    store = ArtifactStore(tmp_path / "store")
    assert store.path(store.add_file(source).sha256).read_bytes() == data


def test_killed_before_the_rename_nothing_is_visible(tmp_path: Path) -> None:
    """A writer that dies with its bytes written but not named leaves nothing to see."""
    store = ArtifactStore(tmp_path)
    child = os.fork()
    if child == 0:  # pragma: no cover - ends by its own signal
        with artifacts._incoming(tmp_path) as (stream, _):
            stream.write(b"half")
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not store.has(Artifact(hashlib.sha256(b"half").hexdigest(), 4))
    assert store.manifests() == ()


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """An error while bytes come in leaves no file of any name."""

    def broken() -> object:
        yield b"half"
        raise OSError("the cable was pulled")

    store = ArtifactStore(tmp_path)
    with pytest.raises(OSError, match="cable"):
        store._add(broken())  # type: ignore[arg-type]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_many_writers_of_the_same_bytes_agree(tmp_path: Path) -> None:
    """Adding at the same time from several threads gives one whole file."""
    data = os.urandom(300_000)
    found: list[Artifact] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        found.append(ArtifactStore(tmp_path).add_bytes(data))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [ArtifactStore(tmp_path).path(found[0].sha256)]
    assert files[0].read_bytes() == data


def test_a_manifest_round_trips(tmp_path: Path) -> None:
    """What is published is what is read, and a second one of the name replaces the first."""
    store = ArtifactStore(tmp_path)
    first = manifest(store)
    store.publish(first)
    assert store.manifests() == (first,)
    second = manifest(store, data=b"newer kernel")
    store.publish(second)
    assert store.manifest("debian-12") == second
    assert store.manifests() == (second,)


def test_a_manifest_of_missing_bytes_is_refused(tmp_path: Path) -> None:
    """Publishing names the role whose bytes are not in the store, and publishes nothing."""
    elsewhere = manifest(ArtifactStore(tmp_path / "other"))
    store = ArtifactStore(tmp_path / "store")
    with pytest.raises(ArtifactError, match="'kernel' of debian-12"):
        store.publish(elsewhere)
    assert store.manifests() == ()


def test_adopting_shares_the_bytes(tmp_path: Path) -> None:
    """An artifact taken over from another store is the same, and may be taken over twice."""
    other, store = ArtifactStore(tmp_path / "other"), ArtifactStore(tmp_path / "store")
    artifact = other.add_bytes(b"payload")
    for _ in range(2):
        store.adopt(other.path(artifact.sha256), artifact)
    assert store.path(artifact.sha256).read_bytes() == b"payload"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "'artifacts' must be an object"),
        ('{"artifacts": {}, "facts": {}}', "'name' must be a text"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_damaged_manifest_names_its_file(tmp_path: Path, text: str, says: str) -> None:
    """Whoever reads a damaged manifest is told which file it is, what is wrong and what to do."""
    store = ArtifactStore(tmp_path)
    store.publish(manifest(store))
    path = tmp_path / "manifests" / "debian-12.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=says) as caught:
        store.manifests()
    assert caught.value.where == str(path)
    assert caught.value.next_step


@pytest.mark.parametrize("name", ["../secret", "", "a/b", ".hidden", "x" * 5000])
def test_a_name_cannot_leave_the_store(tmp_path: Path, name: str) -> None:
    """A manifest name from outside is never used as a path before it is checked."""
    (tmp_path / "secret.json").write_text("{}")
    with pytest.raises(UnknownError):
        ArtifactStore(tmp_path / "store").manifest(name)


@given(st.text(max_size=80))
def test_only_a_hash_becomes_a_path(text: str) -> None:
    """Anything that is not a SHA-256 is refused before a path is made of it."""
    with pytest.raises(ArtifactError):
        ArtifactStore(Path("/nowhere")).path(text)


@given(
    st.dictionaries(st.sampled_from(["kernel", "sb/shimx64.efi", "archive"]), st.binary()),
    st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=20)),
)
def test_any_manifest_survives_its_text(
    contents: dict[str, bytes], facts: dict[str, str | int]
) -> None:
    """Reading the text of a manifest gives that manifest again."""
    entries = {
        role: Artifact(hashlib.sha256(data).hexdigest(), len(data))
        for role, data in contents.items()
    }
    files = {role: role.split("/")[-1] for role in entries}
    one = Manifest("loaders", "loaders", BUILT, "x", entries, files, facts)
    assert Manifest.from_json(one.to_json()) == one


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_json_crashes_the_reader(value: object) -> None:
    """Reading any JSON gives a manifest or one clear error."""
    document = {"name": value, "kind": "media", "built": BUILT, "inputs": "", "artifacts": {}}
    with pytest.raises(ArtifactError):
        Manifest.from_json(json.dumps({**document, "artifacts": {"kernel": value}}))


@pytest.mark.parametrize("role", ["../x", "/x", "a//b", "a/../b", "", "a b"])
def test_a_role_is_a_safe_served_name(role: str) -> None:
    """Roles are served as paths, so no role can point outside."""
    artifact = Artifact("0" * 64, 0)
    with pytest.raises(ArtifactError, match="role"):
        Manifest("x", "media", BUILT, "", {role: artifact}, {role: "f"})
