"""Everything signed that says what a tree was: seals and heads in files, seals on memfold.seals, checkpoints that an auditor kept.

Whoever rewrites the files cannot rewrite the topic and the auditor's copy too; so all of them are held against the records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from memfold.audit.checkpoints import Checkpoint, Heads, Seal, TreeName, is_heads
from memfold.audit.findings import Report
from memfold.audit.notes import Verifier, open_note
from memfold.audit.seal_errors import NoteRefused
from memfold.audit.seal_files import SealFiles


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """The first `size` leaves had this root, says `where`."""

    size: int
    root: bytes
    where: str


@dataclass(slots=True)
class Pins:
    """By tree. `sealed` is each tree's size in the newest seal; `moments` the heads by time."""

    by_tree: dict[TreeName, set[Pin]] = field(default_factory=lambda: defaultdict(set))
    moments: list[Heads] = field(default_factory=list)

    def add(self, checkpoint: Checkpoint, where: str) -> None:
        self.by_tree[checkpoint.tree].add(Pin(checkpoint.size, checkpoint.root, where))

    def add_note(self, note: str, verifier: Verifier, where: str) -> None:
        """A checkpoint or heads. Raises NoteRefused, also for those of another log."""
        text = open_note(note, verifier)
        found = Heads.parse(text) if is_heads(text) else Checkpoint.parse(text)
        if found.origin != verifier.name and not found.origin.startswith(f"{verifier.name}/"):
            raise NoteRefused(f"the note is about {found.origin}, not about {verifier.name}")
        if isinstance(found, Heads):
            self.moments.append(found)
        for checkpoint in found.heads if isinstance(found, Heads) else [found]:
            self.add(checkpoint, where)

    def sealed(self, tree: TreeName) -> int:
        return max((pin.size for pin in self.by_tree.get(tree, ())), default=0)

    def before(self, time: int) -> dict[TreeName, Checkpoint]:
        """Every tree's head in the newest heads that are not younger than `time`."""
        older = [heads for heads in self.moments if heads.time <= time]
        return {} if not older else {head.tree: head for head in max(older, key=lambda one: one.time).heads}


def pins_of(files: SealFiles, verifier: Verifier, topic: Iterable[bytes], report: Report) -> Pins:
    """Every pin whose signature verifies; what does not is added to the report."""
    pins = Pins()
    for tree in files.trees():
        path = str(files.seals_path(tree))
        _add_seals(pins, tree, files, verifier, report, path)
    time = 0
    for number, note in enumerate(files.heads(), start=1):
        where = f"note {number} of {files.heads_path}"
        _try(pins, note, verifier, where, report, str(files.heads_path))
        if pins.moments and pins.moments[-1].time < time:
            report.add(
                "clock", f"{where} is signed at an earlier time than the one before it: the sealer's clock was set back",
                file=str(files.heads_path), offset=number - 1,
            )  # fmt: skip
        time = max(time, pins.moments[-1].time if pins.moments else 0)
    for number, value in enumerate(topic):
        _add_published(pins, value, verifier, f"record {number} of memfold.seals", report)
    report.counts.seals = sum(len(each) for each in pins.by_tree.values())
    return pins


def _add_seals(
    pins: Pins, tree: TreeName, files: SealFiles, verifier: Verifier, report: Report, path: str
) -> None:
    try:
        seals: Sequence[Seal] = files.seals(tree)
    except NoteRefused as refused:
        report.add("seal", f"{path}: {refused}", tree, file=path)
        return
    for number, seal in enumerate(seals, start=1):
        _try(pins, seal.note, verifier, f"seal {number} of {path}", report, path)


def _add_published(pins: Pins, value: bytes, verifier: Verifier, where: str, report: Report) -> None:
    text = value.decode(errors="replace")
    if f"\n{verifier.name}/" not in f"\n{text}":
        # Another home seals to the same topic under another name.
        return
    try:
        note = Seal.parse(text).note if text.startswith("old ") else text
    except NoteRefused as refused:
        report.add("seal", f"{where}: {refused}", file="memfold.seals")
        return
    _try(pins, note, verifier, where, report, "memfold.seals")


def _try(pins: Pins, note: str, verifier: Verifier, where: str, report: Report, file: str) -> None:
    try:
        pins.add_note(note, verifier, where)
    except NoteRefused as refused:
        report.add("seal", f"{where}: {refused}", file=file)
