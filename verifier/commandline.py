"""`python3 verify.py case.zip --key KEY`: says what holds, what that shows and what not; or names the first bad thing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from memfold.verifier.checking import Checked, check
from memfold.verifier.claims import UNTRUSTED_KEY, covered, not_covered
from memfold.verifier.notes import COSIGNED, PLAIN, public_key
from memfold.verifier.refusing import Refused

HOLDS, BAD, NOT_CHECKED = 0, 1, 2


def main(arguments: Sequence[str], released: Mapping[str, str], own: bytes) -> int:
    """The exit status: 0 it holds, 1 it does not, 2 it could not be read. `own`: the bytes of the verifier that runs."""
    parser = argparse.ArgumentParser(
        description="Check an evidence bundle of memfold, without memfold and without a network."
    )
    parser.add_argument("bundle", type=Path, help="the ZIP file")
    parser.add_argument("--key", help="the log's public key, from a source that you trust: name+id+key")
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="KEY",
        help="a witness that must have signed every checkpoint",
    )
    given = parser.parse_args(arguments)
    try:
        key = public_key(given.key, PLAIN, "--key") if given.key else None
        witnesses = [public_key(each, COSIGNED, "--witness") for each in given.witness]
        data = given.bundle.read_bytes()
    except (Refused, OSError) as reason:
        print(f"could not be checked: {reason}", file=sys.stderr)
        return NOT_CHECKED
    try:
        done = check(data, released, key, witnesses)
    except (Refused, KeyError, TypeError, ValueError, AttributeError) as bad:
        said = (
            str(bad)
            if isinstance(bad, Refused)
            else f"the bundle: it lacks or distorts what a bundle has ({bad!r})"
        )
        print(f"BAD  {said}")
        return BAD
    print("\n".join(_said(done, key is not None, len(witnesses), own)))
    return HOLDS


def _said(done: Checked, trusted: bool, witnesses: int, own: bytes) -> list[str]:
    about, form = done.about, "opened" if done.about["opened"] else "still encrypted"
    signed = datetime.fromtimestamp(done.signed_at / 1000, timezone.utc).isoformat(timespec="seconds")
    lines = [
        f"HOLDS  {done.records} records of {about['user']} ({about['subject']}), {form}",
        f"  signed by {done.key}",
        f"  bundle made at {signed}, by the maker's clock",
        *(f"  {tree}: in the first {size} records, root {root}" for tree, size, root in done.trees),
    ]
    if witnesses:
        lines.append(f"  countersigned by {witnesses} witness(es), as asked for")
    elif done.others:
        lines.append(f"  countersignatures that were NOT checked (give --witness): {', '.join(done.others)}")
    if done.verifier != own:
        lines.append("  the verify.py in the bundle is another one than this")
    if not trusted:
        lines += ["", UNTRUSTED_KEY]
    lines += ["", "This shows:", *(f"  - {one}" for one in covered(about["opened"]))]
    return [*lines, "", "It does not show:", *(f"  - {one}" for one in not_covered(about["opened"]))]
