"""Trees and proofs: the vectors of certificate-transparency, every size to 130, damaged proofs, and a slow tree written from the RFC."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.audit.merkle import (
    EMPTY,
    CompactRange,
    Node,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    node_hash,
    nodes_of,
    root_of,
)
from memfold.audit.node_file import NodeFile, stored
from memfold.projections.archive_rows import leaf_hash

# merkletree/merkle_tree_test.cc of google/certificate-transparency: eight leaves, the roots of every beginning, some proofs.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [
    (0, 1, []),
    (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]  # fmt: skip
CONSISTENCY = [
    (1, 1, []),
    (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip
LEAVES = [leaf_hash(number.to_bytes(2)) for number in range(130)]
NODES = nodes_of(LEAVES)


@cache
def slow_root(first: int, end: int) -> bytes:
    """MTH(D[first:end]), word for word from RFC 9162, 2.1.1."""
    if end == first:
        return EMPTY
    if end - first == 1:
        return LEAVES[first]
    k = 1
    while k * 2 < end - first:
        k *= 2
    return node_hash(slow_root(first, first + k), slow_root(first + k, end))


def test_the_published_vectors() -> None:
    leaves = [leaf_hash(value) for value in INPUTS]
    nodes = nodes_of(leaves)
    grown = CompactRange()
    assert grown.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in enumerate(ROOTS, start=1):
        grown.extend([leaves[size - 1]])
        assert grown.root().hex() == root_of(size, nodes).hex() == root
    for index, size, proof in INCLUSION:
        assert [part.hex() for part in inclusion_proof(index, size, nodes)] == proof
    for old, new, proof in CONSISTENCY:
        assert [part.hex() for part in consistency_proof(old, new, nodes)] == proof


def test_every_proof_to_130_leaves() -> None:
    roots = [slow_root(0, size) for size in range(131)]
    for size in range(131):
        assert root_of(size, NODES) == roots[size]
        for index in range(size):
            proof = inclusion_proof(index, size, NODES)
            assert is_included(LEAVES[index], index, size, proof, roots[size])
        for old in range(size + 1):
            proof = consistency_proof(old, size, NODES)
            assert is_consistent(old, size, proof, roots[old], roots[size])


def test_a_proof_shows_nothing_else() -> None:
    """The right proof with another leaf, index, size or root, for every size to 40."""
    roots = [root_of(size, NODES) for size in range(42)]
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, NODES)
            assert not is_included(LEAVES[index + 1], index, size, proof, roots[size])
            for other in set(range(size + 2)) - {index}:
                assert not is_included(LEAVES[index], other, size, proof, roots[size])
            assert not is_included(LEAVES[index], index, size, proof, roots[size + 1])
        for old in range(1, size):
            proof = consistency_proof(old, size, NODES)
            assert not is_consistent(old, size, proof, roots[old - 1], roots[size])
            assert not is_consistent(old, size, proof, roots[old], roots[size + 1])
            assert not is_consistent(size, old, proof, roots[old], roots[size])


def test_100_000_damaged_proofs_are_refused() -> None:
    random = Random(6)
    for number in range(100_000):
        size = random.randrange(2, 131)
        chosen = random.randrange(size)
        inclusion = number % 2 == 0 or chosen == 0
        proof = inclusion_proof(chosen, size, NODES) if inclusion else consistency_proof(chosen, size, NODES)
        damaged = _damaged(proof, random)
        if damaged == proof:
            continue
        root = root_of(size, NODES)
        if inclusion:
            assert not is_included(LEAVES[chosen], chosen, size, damaged, root)
        else:
            assert not is_consistent(chosen, size, damaged, root_of(chosen, NODES), root)


def _damaged(proof: list[bytes], random: Random) -> list[bytes]:
    parts, place = list(proof), random.randrange(len(proof))
    match random.randrange(5):
        case 0:
            flipped = bytearray(parts[place])
            flipped[random.randrange(32)] ^= 1 << random.randrange(8)
            parts[place] = bytes(flipped)
        case 1:
            del parts[place]
        case 2:
            parts.insert(place, random.choice([parts[place], random.randbytes(32)]))
        case 3:
            other = random.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        case _:
            parts[place] = parts[place][: random.randrange(32)]
    return parts


@given(st.integers(0, 4_000), st.data())
def test_any_growth_is_consistent(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    leaves = [leaf_hash(number.to_bytes(2)) for number in range(new)]
    nodes, grown = nodes_of(leaves), CompactRange()
    grown.extend(leaves[:old])
    before = grown.root()
    grown.extend(leaves[old:])
    assert is_consistent(old, new, consistency_proof(old, new, nodes), before, grown.root())
    if 0 < old < new:
        changed = data.draw(st.integers(0, old - 1))
        rewritten = nodes_of([*leaves[:changed], leaf_hash(b"another"), *leaves[changed + 1 :]])
        forged = consistency_proof(old, new, rewritten)
        assert not is_consistent(old, new, forged, before, root_of(new, rewritten))


@pytest.mark.parametrize("batch", [1, 7, 130])
def test_a_node_file_gives_the_same_proofs(tmp_path: Path, batch: int) -> None:
    writer, grown = NodeFile(tmp_path / "nodes", write=True), CompactRange()
    for start in range(0, 130, batch):
        writer.write(grown, LEAVES[start : start + batch])
    writer.close()
    assert (tmp_path / "nodes").stat().st_size == stored(130) * 32
    nodes: Node = NodeFile(tmp_path / "nodes")
    for size in range(1, 131):
        assert root_of(size, nodes) == root_of(size, NODES)
        assert inclusion_proof(size // 2, size, nodes) == inclusion_proof(size // 2, size, NODES)
        assert consistency_proof(size // 3, size, nodes) == consistency_proof(size // 3, size, NODES)


def test_a_node_file_that_was_cut_goes_on(tmp_path: Path) -> None:
    file, grown = NodeFile(tmp_path / "nodes", write=True), CompactRange()
    file.write(grown, LEAVES[:77])
    at_77 = CompactRange(grown.size, grown.peaks)
    file.write(grown, LEAVES[77:100])
    file.cut(77)
    file.write(at_77, LEAVES[77:])
    assert root_of(130, file) == root_of(130, NODES) == at_77.root()
    file.close()


def test_leaves_and_sizes_outside_the_tree() -> None:
    for index in (-1, 5):
        with pytest.raises(ValueError, match="not in a tree of 5"):
            inclusion_proof(index, 5, NODES)
    with pytest.raises(ValueError, match="no beginning of 6"):
        consistency_proof(6, 5, NODES)
    assert not is_included(LEAVES[0], 0, 0, [], EMPTY)
    assert is_consistent(0, 5, [], EMPTY, root_of(5, NODES))
