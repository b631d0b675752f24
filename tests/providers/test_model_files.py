from __future__ import annotations

from pathlib import Path

import pytest

from memfold.memory.errors import ModelFileChanged
from memfold.providers.model_files import check, digest


def test_the_pinned_file_passes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    check(file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


@pytest.mark.parametrize("change", ["a byte", "a name", "one more"])
def test_a_changed_folder_is_refused(tmp_path: Path, change: str) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "weights"
    file.write_bytes(b"abc")
    pinned = digest(tmp_path)
    check(tmp_path, pinned)
    if change == "a byte":
        file.write_bytes(b"abd")
    elif change == "a name":
        file.rename(tmp_path / "weights")
    else:
        (tmp_path / "more").write_bytes(b"")
    with pytest.raises(ModelFileChanged, match="SHA-256"):
        check(tmp_path, pinned)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileChanged, match="gone"):
        check(tmp_path / "gone", "00")
