"""A sealed folder: whole, or refused by the name of the file that is not as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.bundle import FORMAT, MANIFEST, BundleError, publish, refuse_existing, seal, verify


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.txt").write_text("one")
    (folder / "inner" / "two.bin").write_bytes(bytes(range(256)))
    seal(folder)
    return folder


def test_a_whole_one_has_a_name_that_moves_with_it(sealed: Path, tmp_path: Path) -> None:
    name = verify(sealed)
    assert len(name) == 64
    assert verify(sealed.rename(tmp_path / "elsewhere")) == name


@pytest.mark.parametrize("file", ["one.txt", "inner/two.bin"])
def test_a_flipped_byte_is_refused_by_name(sealed: Path, file: str) -> None:
    content = bytearray((sealed / file).read_bytes())
    content[1] ^= 1
    (sealed / file).write_bytes(content)
    with pytest.raises(BundleError, match=f"{file} altered"):
        verify(sealed)


def test_a_missing_and_a_strange_file_are_refused_by_name(sealed: Path) -> None:
    (sealed / "one.txt").unlink()
    (sealed / "inner" / "three.txt").write_text("")
    with pytest.raises(BundleError, match=r"one.txt missing; inner/three.txt not of it"):
        verify(sealed)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {}, "format": 1, "sha256": ""}'])
def test_an_altered_manifest_is_refused(sealed: Path, content: str) -> None:
    (sealed / MANIFEST).write_text(content)
    with pytest.raises(BundleError, match=rf"the {MANIFEST} of .* is altered"):
        verify(sealed)


def test_one_of_a_newer_program_is_refused(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sealed / MANIFEST).unlink()
    with monkeypatch.context() as patch:
        patch.setattr("storage.bundle.FORMAT", FORMAT + 1)
        seal(sealed)
    with pytest.raises(BundleError, match=rf"of format {FORMAT}, but .* is of {FORMAT + 1}"):
        verify(sealed)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"must have a {MANIFEST}"):
        verify(tmp_path)


def test_it_replaces_a_bundle_by_force_alone_and_nothing_else(sealed: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    publish(sealed, first, force=False)
    other = tmp_path / "other"
    other.mkdir()
    (other / "new.txt").write_text("new")
    seal(other)
    with pytest.raises(BundleError, match="give --force"):
        publish(other, first, force=False)
    publish(other, first, force=True)
    assert (first / "new.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first"]
    precious = tmp_path / "precious"
    precious.mkdir()
    with pytest.raises(BundleError, match="is none"):
        refuse_existing(precious, force=True)
