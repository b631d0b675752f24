"""The verifier's own inclusion check, against the proofs of the audit room: two implementations that share no line."""

from __future__ import annotations

from random import Random

from memfold.audit.merkle import inclusion_proof, nodes_of, root_of
from memfold.verifier.inclusion import leaf_of, root_from

VALUES = [number.to_bytes(2, "big") for number in range(130)]
LEAVES = [leaf_of(value) for value in VALUES]
NODES = nodes_of(LEAVES)


def test_every_leaf_of_every_tree_to_130() -> None:
    for size in range(1, 131):
        root = root_of(size, NODES)
        for index in range(size):
            assert root_from(LEAVES[index], index, size, inclusion_proof(index, size, NODES)) == root


def test_20_000_damaged_proofs_are_refused() -> None:
    random = Random(6)
    for _ in range(20_000):
        size = random.randrange(2, 131)
        index = random.randrange(size)
        proof, root = inclusion_proof(index, size, NODES), root_of(size, NODES)
        place = random.randrange(len(proof))
        changed = [
            [*proof[:place], random.randbytes(32), *proof[place + 1 :]],
            [*proof[:place], *proof[place + 1 :]],
            [*proof[:place], proof[place], *proof[place:]],
            [*proof[:place], proof[place][:-1], *proof[place + 1 :]],
        ]
        assert root_from(LEAVES[index], index, size, random.choice(changed)) != root
        other = random.choice([one for one in range(size + 1) if one != index])
        assert root_from(LEAVES[index], other, size, proof) != root


def test_no_leaf_lies_outside_of_a_tree() -> None:
    assert root_from(LEAVES[0], 0, 0, []) is None
    assert root_from(LEAVES[0], -1, 3, []) is None
    assert root_from(LEAVES[0], 3, 3, []) is None
