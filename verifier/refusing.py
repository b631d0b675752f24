"""The one error of the verifier: what is bad, and why."""

from __future__ import annotations


class Refused(Exception):
    """A bundle is not what it claims to be. `where` names the first bad thing: a file of the bundle, or a place in one."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why
