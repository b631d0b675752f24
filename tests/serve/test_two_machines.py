"""A worker on another machine, as far as this one can be two: another network, another name, the same folder, keys in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from memfold.memory.errors import ViewUnreachable
from memfold.schemas.partitions import COMMANDS
from memfold.serve.settings import Settings
from memfold.serve.view_address import addresses
from tests.infra.kafka_cluster import running_cluster
from tests.infra.network import OtherSide, other_side
from tests.serve.checks import everything_holds, the_log_verifies
from tests.serve.owning import adding_while_killed, joined, shared
from tests.serve.stacks import running_in
from tests.stores.postgres import binaries, postgres, readable_folder

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        binaries() is None, reason="no PostgreSQL: install postgresql-15-pgvector, or pgserver from PyPI"
    ),
]
NAMED = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh")
"""Before a command line: it runs on a machine of another name."""


@dataclass(frozen=True, slots=True)
class Here:
    side: OtherSide
    settings: Settings

    @property
    def there(self) -> list[str]:
        return [*self.side.prefix, *NAMED]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("machines")
    with other_side(1) as side, readable_folder() as readable:
        (ours,) = side.ours
        with (
            postgres(readable / "postgres", host=ours) as address,
            running_cluster(folder / "kafka", 1, hosts=side.ours) as cluster,
        ):
            given: dict[str, Any] = {
                "bootstrap_servers": cluster.bootstrap,
                "key_store": address,
                "patience": 90.0,
            }
            with running_in(folder / "home", **given) as settings:
                yield Here(side, settings)


async def test_a_machine_joins_and_is_lost(here: Here) -> None:
    """It gets partitions of the one that was there; after kill -9 they are opened here, where they lie."""
    async with joined(here.settings, {"MEMFOLD_VIEW__HOST": here.side.its}, here.there) as worker:
        found = await shared(here.settings, 2)
        assert found[worker.pid], f"nothing of {COMMANDS} came to the other machine"
        assert "elsewhere" in {one.machine for one in addresses(here.settings.folder)}
        added = await adding_while_killed(here.settings, worker, before=10)
    print(f"the longest add took {added.longest:.1f} s")
    # Nobody here can tell whether it lives: somebody has to say so.
    with pytest.raises(ViewUnreachable, match=r"of elsewhere does not answer at .*remove elsewhere-"):
        await everything_holds(here.settings, added.command_ids)
    (left,) = (here.settings.folder / "run" / "views").glob("elsewhere-*.json")
    left.unlink()
    await everything_holds(here.settings, added.command_ids)
    await asyncio.to_thread(the_log_verifies, here.settings)
