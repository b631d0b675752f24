"""`memfold audit prove|prove-consistency|check-proof|receipt|witness`: what one party shows another."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from memfold.audit.checkpoints import Seal, TreeName, hash_of
from memfold.audit.notes import COSIGNATURE, Verifier
from memfold.audit.proofs import check_proof, locate, prove, prove_consistency
from memfold.audit.seal_errors import ProofRefused
from memfold.audit.seal_files import SealFiles
from memfold.audit.seal_key import seal_verifier, signing_key
from memfold.audit.witness import Witness
from memfold.memory.errors import InvalidInput, MemfoldError
from memfold.projections.archive_rows import leaf_hash
from memfold.schemas.partitions import SEALS
from memfold.serve.cli_options import Bootstrap, Home, console, print_json
from memfold.serve.cli_seals import FAILED, NOT_CHECKED
from memfold.serve.seals import archive_of, receipt_of, said_of, seals_of
from memfold.serve.settings import settings_from
from memfold.streams.reader import LogReader

Key = Annotated[str, typer.Option("--key", help="The log's public key, as `memfold audit key` prints it.")]


def register(app: typer.Typer) -> None:
    for command in (prove_event, prove_growth, check, receipt, witness):
        names = {"prove_event": "prove", "prove_growth": "prove-consistency", "check": "check-proof"}
        app.command(names.get(command.__name__))(command)


def prove_event(
    event_id: Annotated[str, typer.Argument(help="Of an event or a command.")], home: Home = None
) -> None:
    """Print the proof that an event is in the newest checkpoint, as JSON; needs no broker."""
    settings = settings_from(home=home)
    files = SealFiles(seals_of(settings))
    print_json(prove(files, seal_verifier(files.folder), event_id, locate(archive_of(settings), event_id)))


def prove_growth(
    first: Annotated[Path, typer.Argument(help="File of the older checkpoint.")],
    second: Annotated[Path, typer.Argument(help="File of the newer checkpoint.")],
    home: Home = None,
) -> None:
    """Print the proof that the records of one checkpoint are the beginning of those of another, as JSON."""
    files = SealFiles(seals_of(settings_from(home=home)))
    print_json(prove_consistency(files, seal_verifier(files.folder), _read(first), _read(second)))


def check(
    file: Annotated[Path, typer.Argument(help="What `prove` or `prove-consistency` printed.")],
    key: Key,
    record: Annotated[
        Path | None, typer.Option("--record", help="File of the record's exact bytes, to be hashed and compared.")
    ] = None,
) -> None:  # fmt: skip
    """Check a proof with the log's public key alone: no home, no network; exit status 1 where it does not hold."""
    try:
        proof: Any = json.loads(_read(file))
        said = check_proof(proof, Verifier.parse(key))
        if record is not None and hash_of(proof["leaf_hash"]) != leaf_hash(record.read_bytes()):
            raise ProofRefused(f"{record} is not the record that the proof is about")
    except json.JSONDecodeError as broken:
        raise InvalidInput(f"{file} is not JSON: {broken}") from None
    console.print(f"proven: {said}", markup=False, highlight=False, soft_wrap=True)


def receipt(
    event_id: Annotated[str, typer.Argument(help="Of an event or a command.")],
    home: Home = None,
    bootstrap_servers: Bootstrap = None,
) -> None:
    """Print a signed receipt: this event is at this place of the log. `verify --receipt` looks it up later."""
    settings = settings_from(home=home, bootstrap_servers=bootstrap_servers)
    typer.echo(receipt_of(settings, event_id), nl=False)


def witness(
    state: Annotated[Path, typer.Option("--state", help="Folder of this witness: its key and what it has seen.")],
    key: Key,
    name: Annotated[str, typer.Option("--name", help="The witness's name in its signatures, such as example.com/w1.")],
    seals: Annotated[Path | None, typer.Option("--seals", help="Folder of seals. Default: the topic memfold.seals.")] = None,
    bootstrap_servers: Bootstrap = None,
) -> None:  # fmt: skip
    """Countersign what continues what this witness has seen; exit status 1 where a seal does not, 2 where it cannot be checked."""
    try:
        log = Verifier.parse(key)
        signer = signing_key(state / "key", name)
        own = Witness(state, log, signer)
        found = _seals_in(seals, log) if seals else _seals_on_topic(bootstrap_servers, log)
    except (MemfoldError, OSError) as reason:
        Console(stderr=True).print(
            f"could not be checked: {reason}", markup=False, highlight=False, style="red"
        )
        raise typer.Exit(NOT_CHECKED) from reason
    console.print(f"witness {signer.verifier(COSIGNATURE)}", highlight=False, soft_wrap=True)
    refused = False
    for tree, each in found.items():
        try:
            taken = own.take(each)
        except MemfoldError as reason:
            Console(stderr=True).print(f"refused: {reason}", markup=False, highlight=False, style="red")
            refused = True
            continue
        newest = said_of(taken[-1]) if taken else f"{tree}: nothing new"
        console.print(newest, highlight=False)
    if refused:
        raise typer.Exit(FAILED)


def _seals_in(folder: Path, log: Verifier) -> dict[str, list[Seal]]:
    files = SealFiles(folder)
    trees: list[TreeName] = files.trees()
    if not trees:
        raise InvalidInput(f"there are no seals of {log.name} in {folder}")
    return {str(tree): files.seals(tree) for tree in trees}


def _seals_on_topic(bootstrap_servers: str | None, log: Verifier) -> dict[str, list[Seal]]:
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    if settings.bootstrap_servers is None:
        raise InvalidInput("a witness reads a folder (--seals) or a Kafka (--bootstrap-servers); name one")
    reader = LogReader(settings.connection(settings.bootstrap_servers))
    found: dict[str, list[Seal]] = defaultdict(list)
    low, end = reader.bounds(SEALS, 0)
    for batch in reader.read(SEALS, 0, low, end):
        for record in batch:
            text = record.value.decode(errors="replace")
            # Others may seal to the same topic; what claims to be of this log is checked.
            if text.startswith("old ") and f"\n{log.name}/" in text:
                found[record.key.decode(errors="replace")].append(Seal.parse(text))
    reader.close()
    return dict(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise InvalidInput(f"{path} cannot be read: {broken}") from None
