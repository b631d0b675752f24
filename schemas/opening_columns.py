"""Many records opened at once, in columns: authenticated and decoded as `opening` does one by one, only without an object for each.

What is not opened here may still be genuine (a list too long to follow in columns, an older schema): `open_record` has the last word.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported, which pyright does not see.)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from memfold.schemas.columns import Bytes, Fields, Flags, Ints, decode_columns
from memfold.schemas.envelope_columns import BINARY, envelopes_of, slices
from memfold.schemas.errors import KeyDestroyed, UnknownKey, UnknownSchema
from memfold.schemas.opening import Keys
from memfold.schemas.registry import Schema, newest, with_fingerprint
from memfold.schemas.upcast import only_defaults

_TAG = 16
_LONG_ENDS = [1 << (7 * size - 1) for size in range(1, 6)]
"""Below these an Avro long has 1, 2, 3 ... bytes."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bodies that one schema wrote: `fields` of the records numbered `rows`. A newer schema's other fields have their defaults."""

    schema: Schema
    rows: Ints
    fields: Fields


@dataclass(frozen=True, slots=True)
class OpenedColumns:
    """`envelope` is decoded where `enveloped`; the bodies hold exactly the records that are `opened`; of `destroyed` the key is gone."""

    envelope: Fields
    enveloped: Flags
    opened: Flags
    destroyed: Flags
    bodies: Sequence[Bodies]


def open_columns(record_keys: pa.Array, values: pa.Array, keys: Keys) -> OpenedColumns:
    """The records with these keys and values, both binary columns without nulls. Raises what the key store raises of itself."""
    found = envelopes_of(values)
    data, starts, envelope, enveloped = found.data, found.starts, found.fields, found.good
    opened = enveloped & _has_key_of_subject(record_keys, envelope)
    destroyed, plain, plain_ends = _decrypted(data, starts, envelope, opened, keys)
    lengths = slices(envelope, "body").lengths - _TAG
    bodies = _bodies(envelope, plain, plain_ends - lengths, plain_ends, opened)
    return OpenedColumns(envelope, enveloped, opened, destroyed, bodies)


def _has_key_of_subject(record_keys: pa.Array, envelope: Fields) -> Flags:
    tenant, subject = (slices(envelope, name).array(BINARY) for name in ("tenant", "subject"))
    expected = pc.binary_join_element_wise(tenant, subject, pa.scalar(b"/", BINARY))
    same: Flags = pc.equal(expected, record_keys.cast(BINARY)).to_numpy(zero_copy_only=False)
    return same


def _decrypted(
    data: Bytes, starts: Ints, envelope: Fields, opened: Flags, keys: Keys
) -> tuple[Flags, Bytes, Ints]:
    """(whose key is destroyed, the plain bodies, where each ends); `opened` turns false where one does not authenticate."""
    body, nonce = slices(envelope, "body"), slices(envelope, "nonce")
    opened &= body.lengths >= _TAG
    ciphers, destroyed = _ciphers(envelope, opened, keys)
    sizes = np.maximum(body.lengths - _TAG, 0)
    plain_ends = np.cumsum(sizes)
    plain = np.zeros(int(plain_ends[-1]) if len(plain_ends) else 0, np.uint8)
    source, target = data.data, plain.data
    clear_ends = body.starts - np.searchsorted(_LONG_ENDS, body.lengths, "right") - 1
    rows = np.flatnonzero(opened)
    places = (
        starts,
        clear_ends,
        nonce.starts,
        body.starts,
        body.starts + body.lengths,
        plain_ends - sizes,
        plain_ends,
    )
    for row, start, clear_end, at, begin, end, to, to_end in zip(
        rows.tolist(), *(place[rows].tolist() for place in places), strict=True
    ):
        try:
            ciphers[row].decrypt_into(
                source[at : at + 12], source[begin:end], source[start:clear_end], target[to:to_end]
            )
        except InvalidTag:
            opened[row] = False
    return destroyed, plain, plain_ends


def _ciphers(envelope: Fields, opened: Flags, keys: Keys) -> tuple[Sequence[AESGCM], Flags]:
    """The cipher of each row, and whose key was destroyed; `opened` turns false where there is none."""
    ids = slices(envelope, "key_id").array(BINARY).dictionary_encode()
    known: list[AESGCM | None] = []
    gone = np.zeros(len(ids.dictionary), bool)
    wanted = np.unique(ids.indices.to_numpy()[opened])
    for number, key_id in enumerate(ids.dictionary.to_pylist()):
        cipher = None
        if number in wanted:
            try:
                cipher = AESGCM(keys.key(key_id.decode()))
            except KeyDestroyed:
                gone[number] = True
            except (UnknownKey, UnicodeDecodeError):
                pass
        known.append(cipher)
    numbers = ids.indices.to_numpy()
    destroyed = opened & gone[numbers]
    opened &= np.array([cipher is not None for cipher in known], bool)[numbers]
    return [known[number] for number in numbers.tolist()], destroyed


def _bodies(envelope: Fields, plain: Bytes, starts: Ints, ends: Ints, opened: Flags) -> list[Bodies]:
    types = slices(envelope, "type").array(BINARY)
    written = slices(envelope, "body_schema").array(BINARY).dictionary_encode()
    found: list[Bodies] = []
    for number, fingerprint in enumerate(written.dictionary.to_pylist()):
        rows = np.flatnonzero(opened & (written.indices.to_numpy() == number))
        try:
            schema = with_fingerprint(fingerprint)
        except UnknownSchema:
            opened[rows] = False
            continue
        right = pc.equal(types.take(rows), schema.name.encode()).to_numpy(zero_copy_only=False)
        if not only_defaults(schema.name, schema.version, newest(schema.name).version):
            right[:] = False
        fields, good = decode_columns(schema.parsed, plain, starts[rows], ends[rows])
        good &= right
        opened[rows[~good]] = False
        if len(rows):
            found.append(Bodies(schema, np.where(good, rows, -1), fields))
    return found
