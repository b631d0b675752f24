"""Bundles: what is in one, and that not even who holds the log's key can put a lie into it."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from memfold.audit.bounds import checked_bounds
from memfold.audit.bundle import Selection
from memfold.audit.bundle_verifier import released_schemas
from memfold.audit.checkpoints import TreeName
from memfold.audit.notes import COSIGNATURE, Signer
from memfold.audit.seal_errors import NoteRefused, ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_key
from memfold.memory.errors import InvalidInput
from memfold.schemas.codec import encode
from memfold.schemas.errors import KeyDestroyed
from memfold.schemas.keystore import KeyStore
from memfold.schemas.opening import open_record
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import LogRecord
from memfold.verifier.checking import Checked, check
from memfold.verifier.layout import json_bytes, json_value
from memfold.verifier.notes import COSIGNED, PLAIN, public_key
from memfold.verifier.plain_zip import files_of, zip_of
from memfold.verifier.refusing import Refused
from tests.audit.bundles import AGAIN, COUNT, FORGED, HOSTILE, bundle_of, bundling, sealed_log, signed_again
from tests.audit.evidence import MILLISECONDS, Deployment, command, event, memory_id

EVENT = "records/memfold.events/0/{}.avro"


@pytest.fixture
def log(tmp_path: Path, keys: KeyStore) -> Deployment:
    return sealed_log(tmp_path, keys)


def checked(log: Deployment, data: bytes, **given: object) -> Checked:
    key = public_key(str(log.verifier), PLAIN, "key")
    return check(data, released_schemas(), key, **given)  # type: ignore[arg-type]


def refused(log: Deployment, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        checked(log, data)
    return str(caught.value)


def test_a_bundle_holds_the_records_of_one_person(log: Deployment) -> None:
    made = bundle_of(log)
    assert (made.records, made.opened) == (COUNT // 3 * 2 + 1, True)
    assert [one["offset"] for one in made.left_out] == [FORGED]
    done = checked(log, made.data)
    assert (done.records, done.about["user"]) == (made.records, "user-0")
    with zipfile.ZipFile(io.BytesIO(made.data)) as unzipped:
        assert unzipped.testzip() is None
        files = {name: unzipped.read(name) for name in unzipped.namelist()}
    assert files == files_of(made.data, "zip")
    assert files[EVENT.format(3)] == log.events[3].value
    assert not {EVENT.format(number) for number in (1, 2, FORGED)} & set(files)
    assert json.loads(files["keys.json"]).keys() == {log.keys.sealing_key(done.about["subject"])[0]}


def test_what_is_told_is_what_memfold_itself_decodes(log: Deployment) -> None:
    told = json_value(files_of(bundle_of(log).data, "zip")["decoded.json"], "")
    for one in told:
        topic, _, offset = one["place"]
        record = (log.commands if topic == "memfold.commands" else log.events)[offset]
        envelope, body = open_record(record, log.keys)
        assert plain(one["envelope"]) == plain(msgspec.to_builtins(envelope, builtin_types=(bytes, datetime)))
        assert plain(one["body"]) == plain(msgspec.to_builtins(body, builtin_types=(bytes, datetime)))


def plain(value: object) -> object:
    """As the verifier tells it: bytes in hex, times in ISO 8601. Defaults, which a struct may leave out, are put aside."""
    if isinstance(value, dict):
        held = {name: plain(each) for name, each in value.items()}
        return {name: each for name, each in held.items() if each not in (None, "", [], -1, 1.0, "THING")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.hex() if isinstance(value, bytes) else value


def test_what_people_said_cannot_become_html(log: Deployment) -> None:
    page = files_of(bundle_of(log).data, "zip")["report.html"].decode()
    assert "<script" not in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "\x00" not in page
    assert "&lt;script&gt;alert" in page
    assert "\\u202eright to left" in page
    assert page.count("<bdi>") == page.count("</bdi>")
    assert page.count("</table>") == page.count("<table")
    assert (
        HOSTILE
        in json.loads(files_of(bundle_of(log).data, "zip")["decoded.json"])[0]["body"]["items"][0][
            "messages"
        ][0]["content"]
    )
    assert page.count("Written again by a retry") == 1


@pytest.mark.parametrize("opened", [True, False])
def test_who_read_their_memories_is_in_it(tmp_path: Path, keys: KeyStore, opened: bool) -> None:
    read = sealed_log(tmp_path / "read", keys, reads=7)
    data = bundle_of(read, opened=opened).data
    assert checked(read, data).records == COUNT // 3 * 2 + 1 + 3
    files = files_of(data, "zip")
    assert {name for name in files if "access" in name} == {
        "checkpoints/memfold.access-00000.checkpoint", *(f"records/memfold.access/0/{n}.avro" for n in (0, 3, 6))
    }  # fmt: skip
    page = files["report.html"].decode()
    assert ("actor: desk" in page) == opened
    assert "<script" not in page
    assert memory_id(3) in page
    without = bundle_of(read, opened=opened, reads=False).data
    assert checked(read, without).records == COUNT // 3 * 2 + 1
    assert not [name for name in files_of(without, "zip") if "access" in name]


def test_reads_cannot_be_claimed_to_be_left_out(tmp_path: Path, keys: KeyStore) -> None:
    read = sealed_log(tmp_path / "read", keys, reads=3)
    data = bundle_of(read).data
    about = files_of(data, "zip")["manifest.json"].replace(b'"reads": true', b'"reads": false')
    assert refused(read, signed_again(read, data, {"manifest.json": about})).startswith("report.html")


def test_a_sealed_bundle_has_no_key_and_no_words(log: Deployment) -> None:
    data = bundle_of(log, opened=False).data
    assert checked(log, data).records == COUNT // 3 * 2 + 1
    files = files_of(data, "zip")
    assert "keys.json" not in files
    assert all("body" not in one for one in json.loads(files["decoded.json"]))
    assert b"thing 3" not in b"".join(content for name, content in files.items() if name != "verify.py")


def test_an_erased_person_can_still_be_proven_but_not_opened(log: Deployment) -> None:
    bounds = checked_bounds("acme", log.keys, user_id="user-0")
    assert bounds.subject is not None
    log.keys.destroy(bounds.subject)
    with bundling(log) as maker:
        sealed = maker.bundle(bounds, Selection(opened=False))
        # The forged record too: nobody can tell it from a genuine one any more.
        assert checked(log, sealed.data).records == COUNT // 3 * 2 + 2
        with pytest.raises(KeyDestroyed):
            maker.bundle(bounds, Selection(opened=True))


def test_who_is_not_there_has_no_bundle(log: Deployment) -> None:
    with pytest.raises(InvalidInput, match="no record of the user 'nobody'"):
        bundle_of(log, "nobody")


def test_what_is_not_sealed_is_not_in_a_bundle(log: Deployment) -> None:
    log.archive([*log.commands, command(log.keys, COUNT)], [*log.events, event(log.keys, AGAIN + 1, COUNT)])
    with pytest.raises(ProofRefused, match="not sealed yet"):
        bundle_of(log)


def test_an_archive_that_was_changed_gives_no_bundle(log: Deployment) -> None:
    path = SealFiles(log.home / "seals").nodes_path(TreeName(EVENTS, 0))
    nodes = bytearray(path.read_bytes())
    nodes[32 + 5] ^= 1  # of the leaf beside the first
    path.write_bytes(nodes)
    with pytest.raises(ProofRefused, match="audit verify"):
        bundle_of(log)


def test_a_witness_is_in_the_bundle_and_is_asked_for(log: Deployment) -> None:
    files, witness = SealFiles(log.home / "seals"), Signer("w.example/1", Ed25519PrivateKey.generate())
    notes = [seal.note for tree in files.trees() if (seal := files.newest(tree)) is not None]
    data = bundle_of(log, witnessed=[witness.cosign(note, 1_772_500_001) for note in notes]).data
    asked = public_key(str(witness.verifier(COSIGNATURE)), COSIGNED, "witness")
    assert checked(log, data, witnesses=[asked]).others == [f"w.example/1+{asked.key_id.hex()}"]
    other = public_key(str(Signer("w.example/2", witness.private).verifier(COSIGNATURE)), COSIGNED, "witness")
    with pytest.raises(Refused, match=r"not signed by w\.example/2"):
        checked(log, data, witnesses=[other])
    assert checked(log, bundle_of(log).data).others == []
    with pytest.raises(NoteRefused):
        bundle_of(log, witnessed=[seal_key(log.home / "other").sign("x\n1\nAA\n")])


def swapped(one: bytes, other: bytes) -> Callable[[bytes], bytes]:
    def swap(data: bytes) -> bytes:
        assert one in data
        return data.replace(one, other)

    return swap


LIES = {
    "a word in decoded.json": ("decoded.json", swapped(b"thing 3", b"thing 4"), "decoded.json"),
    "a word in the report": ("report.html", swapped(b"thing 3", b"thing 4"), "report.html"),
    "another user": ("manifest.json", swapped(b'"user-0"', b'"user-9"'), "report.html"),
    "another subject": ("manifest.json", swapped(b'"subject": "', b'"subject": "0'), "records/memfold.commands/0/0.avro"),
    "a byte of a record": (EVENT.format(3), lambda data: data[:-1] + bytes([data[-1] ^ 1]), EVENT.format(3)),
    "a hash of a proof": ("proofs.json", lambda data: _other_hash(data), "records/memfold.commands/0/0.avro"),
    "a schema's field": ("schemas/memories_decided.v3.avsc", swapped(b'"text"', b'"was"'), "schemas/memories_decided.v3.avsc"),
    "a checkpoint's size": ("checkpoints/memfold.events-00000.checkpoint", swapped(b"\n14\n", b"\n15\n"), "checkpoints/memfold.events"),
    "a key": ("keys.json", lambda data: data.replace(data[-8:-4], b"0000"), "records/memfold.commands/0/0.avro"),
    "the heads": ("heads.note", swapped(b"time ", b"time 1"), "heads.note"),
}  # fmt: skip


def _other_hash(data: bytes) -> bytes:
    proofs = json.loads(data)
    proofs[0]["hashes"][0] = b64encode(bytes(32)).decode()
    return json_bytes(proofs)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_though_the_operator_signs_it(log: Deployment, lie: str) -> None:
    name, change, bad = LIES[lie]
    data = bundle_of(log).data
    said = refused(log, signed_again(log, data, {name: change(files_of(data, "zip")[name])}))
    assert said.startswith(bad), said


def test_records_cannot_be_taken_out_or_put_in_without_their_proofs(log: Deployment) -> None:
    data = bundle_of(log).data
    taken = signed_again(log, data, {EVENT.format(3): None})
    assert refused(log, taken) == f"{EVENT.format(3)}: it is not in the bundle"
    put = signed_again(log, data, {EVENT.format(4): log.events[4].value})
    assert refused(log, put) == f"{EVENT.format(4)}: there is no proof of it"
    assert (
        refused(log, signed_again(log, data, {"extra.txt": b"!"})) == "extra.txt: a bundle has no such file"
    )
    sealed = bundle_of(log, opened=False).data
    assert refused(log, signed_again(log, sealed, {"keys.json": b"{}\n"})).startswith(
        "keys.json: a bundle that is not"
    )
    proofs = json_value(files_of(data, "zip")["proofs.json"], "")
    twice = signed_again(log, data, {"proofs.json": json_bytes([*proofs, proofs[-1]])})
    assert refused(log, twice).startswith("proofs.json: its records do not stand in the order of the log")


def test_a_record_of_somebody_else_does_not_pass_as_theirs(log: Deployment) -> None:
    """With a genuine proof, and under a manifest that the operator signs."""
    data, other = bundle_of(log).data, bundle_of(log, "user-1").data
    mine, theirs = (json_value(files_of(each, "zip")["proofs.json"], "") for each in (data, other))
    proofs = sorted([*mine, theirs[-1]], key=lambda one: (one["topic"], one["partition"], one["offset"]))
    place = theirs[-1]["offset"]
    mixed = signed_again(
        log, data, {"proofs.json": json_bytes(proofs), EVENT.format(place): log.events[place].value}
    )
    assert refused(log, mixed).startswith(f"{EVENT.format(place)}: it is of the subject")


def test_an_event_that_answers_another_command_is_named(log: Deployment) -> None:
    """Sealed by somebody who has the keys: genuine, and not in order."""
    envelope, body = open_record(log.events[0], log.keys)
    wrong = encode(replace(envelope, command_offset=3), body, log.keys.key(envelope.key_id))
    log.archive(
        log.commands, [*log.events, LogRecord(EVENTS, 0, AGAIN + 1, MILLISECONDS, log.events[0].key, wrong)]
    )
    log.seal()
    with pytest.raises(ProofRefused, match="it does not answer the command at offset 3"):
        bundle_of(log)


def test_a_bundle_under_another_key_holds_only_by_itself(
    log: Deployment, tmp_path: Path, keys: KeyStore
) -> None:
    other = sealed_log(tmp_path / "other", keys)
    data = bundle_of(other).data
    assert refused(log, data).startswith("log.vkey: the bundle is of memfold/")
    assert check(data, released_schemas()).key.name == other.verifier.name


def test_the_zip_has_one_form_only(log: Deployment) -> None:
    data = bundle_of(log).data
    files = files_of(data, "zip")
    for bad in (data + b"\0", b"\0" + data, data[:-1], data[:30] + b"!" + data[30:], b"", b"PK\3\4"):
        assert refused(log, bad)
    reordered = zip_of(dict(reversed(list(files.items()))))
    assert checked(log, reordered).records, "the order of files says nothing"
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    assert refused(log, again.getvalue())
