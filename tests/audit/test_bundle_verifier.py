"""verify.py as a stranger runs it: another Python environment with nothing installed, isolated, without a network."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from memfold.audit.bundle_verifier import ORDER, verifier_source
from memfold.audit.notes import COSIGNATURE
from memfold.audit.seal_key import seal_key, signing_key
from memfold.schemas.keystore import KeyStore
from memfold.verifier.layout import VERIFIER
from memfold.verifier.plain_zip import files_of
from tests.audit.bundles import bundle_of, sealed_log, signed_again
from tests.audit.evidence import Deployment

CHANGES = 2_000
EVERY_CHANGE = f"""
import json, random, runpy, sys
verify = runpy.run_path(sys.argv[1], run_name="verify")
data, random = bytearray(open(sys.argv[2], "rb").read()), random.Random(6)
key = verify["public_key"](sys.argv[3], verify["PLAIN"], "--key") if sys.argv[3] else None
survived = []
for _ in range({CHANGES}):
    place, change = random.randrange(len(data)), random.randrange(1, 256)
    data[place] ^= change
    try:
        verify["check"](bytes(data), verify["RELEASED"], key)
        survived.append(place)
    except verify["Refused"]:
        pass
    data[place] ^= change
print(json.dumps(survived))
"""


def without_network() -> list[str]:
    """What to put before a command so that it has no network; nothing where this machine does not allow that."""
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    print("unshare -n is not allowed here: the verifier runs with a network that it does not use")
    return []


@dataclass
class Stranger:
    """Somebody who has a Python, verify.py and a bundle."""

    python: Path
    folder: Path
    key: str

    def run(self, data: bytes, *words: str) -> tuple[int, str]:
        """(exit status, what it printed)."""
        (self.folder / "case.zip").write_bytes(data)
        (self.folder / "verify.py").write_text(verifier_source())
        files = [str(self.folder / name) for name in ("verify.py", "case.zip")]
        command = [str(self.python), "-I", "-S", *files, *words]
        done = subprocess.run(
            [*without_network(), *command], capture_output=True, text=True, env={}, cwd=self.folder
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("bundle")
    keys = KeyStore(folder / "keys.db", bytes(32))
    yield sealed_log(folder, keys)
    keys.close()


@pytest.fixture
def stranger(tmp_path: Path, log: Deployment) -> Stranger:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "clean"], check=True)
    return Stranger(tmp_path / "clean" / "bin" / "python", tmp_path, str(log.verifier))


@pytest.mark.parametrize("opened", [True, False], ids=["opened", "sealed"])
def test_a_stranger_checks_a_bundle(log: Deployment, stranger: Stranger, opened: bool) -> None:
    data = bundle_of(log, opened=opened).data
    status, said = stranger.run(data, "--key", stranger.key)
    assert status == 0, said
    assert said.startswith("HOLDS  9 records of user-0 (")
    assert f"signed by {stranger.key}" in said
    assert "ONLY AGAINST THE KEY INSIDE" not in said
    assert ("open under two keys" in said) == opened
    assert ("nothing was opened" in said) != opened
    assert "another one than this" not in said


def test_without_a_key_it_says_what_that_is_worth(
    log: Deployment, stranger: Stranger, tmp_path: Path
) -> None:
    status, said = stranger.run(bundle_of(log).data)
    assert status == 0
    assert "SIGNATURES WERE CHECKED ONLY AGAINST THE KEY INSIDE THE BUNDLE" in said
    other = str(seal_key(tmp_path / "other").verifier())
    status, said = stranger.run(bundle_of(log).data, "--key", other)
    assert status == 1
    assert said.startswith("BAD  log.vkey: the bundle is of ")


def test_it_names_the_first_bad_thing(log: Deployment, stranger: Stranger) -> None:
    data = bundle_of(log).data
    record = files_of(data, "zip")["records/memfold.events/0/3.avro"]
    status, said = stranger.run(
        data.replace(record, bytes([*record[:-1], record[-1] ^ 1])), "--key", stranger.key
    )
    assert (status, said) == (
        1,
        "BAD  records/memfold.events/0/3.avro: its bytes do not have the checksum of the ZIP\n",
    )
    empty = signed_again(log, data, {"manifest.json": b"{}\n"})
    status, said = stranger.run(empty, "--key", stranger.key)
    assert (status, said[:38]) == (1, "BAD  the bundle: it lacks or distorts ")


def test_a_witness_that_was_asked_for_and_is_not_there(
    log: Deployment, stranger: Stranger, tmp_path: Path
) -> None:
    witness = str(signing_key(tmp_path / "witness", "w.example/1").verifier(COSIGNATURE))
    status, said = stranger.run(bundle_of(log).data, "--key", stranger.key, "--witness", witness)
    assert status == 1
    assert "is not signed by w.example/1" in said


def test_what_cannot_be_checked_has_its_own_status(log: Deployment, stranger: Stranger) -> None:
    status, said = stranger.run(bundle_of(log).data, "--key", stranger.key[:-4])
    assert status == 2
    assert said.startswith("could not be checked: --key: ")


@pytest.mark.parametrize("opened", [True, False], ids=["opened", "sealed"])
def test_2000_changes_of_a_byte_are_refused(log: Deployment, stranger: Stranger, opened: bool) -> None:
    """None lies outside of what is covered: the ZIP has one form, and every file of it has a digest that is signed."""
    stranger.run(bundle_of(log, opened=opened).data)
    words = [
        "-I",
        "-S",
        "-c",
        EVERY_CHANGE,
        str(stranger.folder / "verify.py"),
        str(stranger.folder / "case.zip"),
    ]
    command = [*without_network(), str(stranger.python), *words, stranger.key]
    done = subprocess.run(command, capture_output=True, text=True, env={}, cwd=stranger.folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_bundles_own_verifier_is_this_one(log: Deployment, stranger: Stranger) -> None:
    data = bundle_of(log).data
    assert files_of(data, "zip")[VERIFIER].decode() == verifier_source()
    status, said = stranger.run(
        signed_again(log, data, {VERIFIER: b"print('all is well')"}), "--key", stranger.key
    )
    assert status == 0
    assert "the verify.py in the bundle is another one than this" in said


def test_it_is_one_file_of_the_standard_library_for_python_3_9() -> None:
    tree = ast.parse(verifier_source(), feature_version=(3, 9))
    named: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.module.partition(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            named.append(node.name)
        elif isinstance(node, ast.Assign):
            named += [
                name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)
            ]
        elif isinstance(node, ast.AnnAssign):
            named += [name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)]
    assert len(named) == len(set(named)), "two files of the room name something alike"
    room = Path(__file__).parents[2] / "verifier"
    assert sorted(ORDER) == sorted(path.stem for path in room.glob("*.py") if path.stem != "__init__")
