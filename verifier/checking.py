"""The check of a bundle, from its outside to its inside. The first thing that is bad ends it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from memfold.verifier.inclusion import leaf_of, root_from
from memfold.verifier.layout import (
    CHECKPOINTS,
    COMMANDS,
    DECODED,
    FORMAT,
    HEADS,
    KEY,
    MANIFEST,
    NOTE,
    PAGE,
    PROOFS,
    RECORDS,
    SCHEMAS,
    SUBJECT_KEYS,
    VERIFIER,
    checkpoint_file,
    json_bytes,
    json_value,
    note_body,
    record_file,
)
from memfold.verifier.notes import (
    PLAIN,
    PublicKey,
    checkpoint_of,
    note_text,
    public_key,
    signers,
    strict_base64,
)
from memfold.verifier.page import page_of
from memfold.verifier.plain_zip import files_of
from memfold.verifier.records import Schemas, body_of, envelope_of, schemas_of
from memfold.verifier.refusing import Refused

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Checked:
    """What holds. `signed_at` in milliseconds since 1970, by the clock of who made the bundle; `others` signed checkpoints as well."""

    key: PublicKey
    about: Mapping[str, Any]
    records: int
    trees: Sequence[tuple[str, int, str]]
    signed_at: int
    others: Sequence[str]
    verifier: bytes


def check(
    data: bytes,
    released: Mapping[str, str],
    key: PublicKey | None = None,
    witnesses: Sequence[PublicKey] = (),
) -> Checked:
    """Check the bytes of a bundle. `released`: see `schemas_of`; `key` None: the one inside is believed. Raises Refused."""
    files = files_of(data, "the ZIP")
    inside = public_key(_text(files, KEY), PLAIN, KEY)
    if key is not None and str(inside) != str(key):
        raise Refused(KEY, f"the bundle is of {inside}, not of the key that was given")
    signed_at = _check_manifest(files, inside)
    about = json_value(files[MANIFEST], MANIFEST)
    if about["format"] != FORMAT or about["log"] != inside.name:
        raise Refused(MANIFEST, f"it is no {FORMAT!r} of {inside.name}")
    if SUBJECT_KEYS in files and not about["opened"]:
        raise Refused(SUBJECT_KEYS, "a bundle that is not opened has no keys")
    note_text(_text(files, HEADS), inside, HEADS)
    trees = _checkpoints(files, inside, witnesses)
    places = _check_inclusion(files, trees)
    told = told_of(files, places, about, schemas_of(_under(files, SCHEMAS), released))
    if json_bytes(told) != files.get(DECODED):
        raise Refused(DECODED, "it does not say what the records say")
    heads = [(tree, size, b64encode(root).decode()) for tree, (size, root) in trees.items()]
    if page_of(about, heads, told).encode() != files.get(PAGE):
        raise Refused(
            PAGE,
            "it is not what this verifier makes of the records: it was changed, or made by another version",
        )
    signed = {name for note in _under(files, CHECKPOINTS) for name in signers(_text(files, note), note)}
    others = sorted(signed - {f"{inside.name}+{inside.key_id.hex()}"})
    return Checked(inside, about, len(told), heads, signed_at, others, _data(files, VERIFIER))


def _check_manifest(files: Files, key: PublicKey) -> int:
    """The chain from the signature to every file: note, manifest, digests. The time of the signature."""
    text, digest = note_text(_text(files, NOTE), key, NOTE), sha256(_data(files, MANIFEST)).hexdigest()
    time = re.search(r"\ntime (\d{1,13})\n\Z", text)
    if time is None or text != note_body(key.name, digest, int(time[1])):
        raise Refused(MANIFEST, "it is not the manifest that was signed")
    digests = json_value(files[MANIFEST], MANIFEST)["files"]
    for name, data in files.items():
        if name not in (MANIFEST, NOTE) and digests.get(name) != sha256(data).hexdigest():
            raise Refused(name, "it does not have the digest that the manifest gives")
    missing = [name for name in digests if name not in files]
    if missing:
        raise Refused(missing[0], "the manifest names it, and it is not there")
    single = {VERIFIER, MANIFEST, NOTE, KEY, SUBJECT_KEYS, HEADS, PROOFS, DECODED, PAGE}
    for name in files:
        if name not in single and not name.startswith((SCHEMAS, CHECKPOINTS, RECORDS)):
            raise Refused(name, "a bundle has no such file")
    return int(time[1])


def _checkpoints(
    files: Files, key: PublicKey, witnesses: Sequence[PublicKey]
) -> dict[str, tuple[int, bytes]]:
    """(size, root) by tree, such as memfold.events/3; signed by the log and by every witness asked for."""
    found: dict[str, tuple[int, bytes]] = {}
    for name in sorted(_under(files, CHECKPOINTS)):
        note = _text(files, name)
        origin, size, root = checkpoint_of(note_text(note, key, name), name)
        for witness in witnesses:
            note_text(note, witness, name)
        tree = origin[len(key.name) + 1 :]
        topic, _, partition = tree.rpartition("/")
        if (
            not partition.isdigit()
            or f"{key.name}/{tree}" != origin
            or name != checkpoint_file(topic, int(partition))
        ):
            raise Refused(name, f"it is the checkpoint of {origin}")
        found[tree] = size, root
    return found


def _check_inclusion(files: Files, trees: Mapping[str, tuple[int, bytes]]) -> list[tuple[str, int, int]]:
    """The places of the records, each proven."""
    places: list[tuple[str, int, int]] = []
    for proof in json_value(_data(files, PROOFS), PROOFS):
        topic, partition, offset = proof["topic"], proof["partition"], proof["offset"]
        name, tree = record_file(topic, partition, offset), f"{topic}/{partition}"
        if tree not in trees:
            raise Refused(name, f"there is no checkpoint of {tree}")
        size, root = trees[tree]
        hashes = [strict_base64(part, PROOFS) for part in proof["hashes"]]
        if root_from(leaf_of(_data(files, name)), offset, size, hashes) != root:
            raise Refused(
                name,
                f"its bytes are not at offset {offset} of the {size} records that {tree}'s checkpoint signs",
            )
        places.append((topic, partition, offset))
    if places != sorted(set(places)):
        raise Refused(PROOFS, "its records do not stand in the order of the log, each once")
    unproven = set(_under(files, RECORDS)) - {record_file(*place) for place in places}
    if unproven:
        raise Refused(min(unproven), "there is no proof of it")
    return places


def told_of(
    files: Files, places: Sequence[tuple[str, int, int]], about: Mapping[str, Any], schemas: Schemas
) -> list[dict[str, Any]]:
    """decoded.json: what the records say, in the order of `places`, each for the subject of the bundle. Raises Refused."""
    keys = json_value(_data(files, SUBJECT_KEYS), SUBJECT_KEYS) if about["opened"] else {}
    told: list[dict[str, Any]] = []
    commands: dict[tuple[int, int], str] = {}
    for topic, partition, offset in places:
        name = record_file(topic, partition, offset)
        envelope = envelope_of(files[name], schemas, name)
        if (envelope["tenant"], envelope["subject"]) != (about["tenant"], about["subject"]):
            raise Refused(name, f"it is of the subject {envelope['subject']} of {envelope['tenant']}")
        one: dict[str, Any] = {"place": [topic, partition, offset], "envelope": envelope}
        if about["opened"]:
            if envelope["key_id"] not in keys:
                raise Refused(name, f"its key {envelope['key_id']} is not in the bundle")
            one["body"] = body_of(
                files[name], envelope, bytes.fromhex(keys[envelope["key_id"]]), schemas, name
            )
        if topic == COMMANDS:
            commands[partition, offset] = envelope["command_id"]
        elif (
            commands.get((partition, envelope["command_offset"]), envelope["command_id"])
            != envelope["command_id"]
        ):
            raise Refused(
                name, f"it does not answer the command at offset {envelope['command_offset']}, which it names"
            )
        told.append({**one, "envelope": {name: value for name, value in envelope.items() if name != "body"}})
    return told


def _under(files: Files, folder: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith(folder)}


def _data(files: Files, name: str) -> bytes:
    if name not in files:
        raise Refused(name, "it is not in the bundle")
    return files[name]


def _text(files: Files, name: str) -> str:
    try:
        return _data(files, name).decode()
    except UnicodeDecodeError:
        raise Refused(name, "it is no UTF-8 text") from None
