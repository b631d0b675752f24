"""The Kafka that a repartitioning fills, where it is one of your own: another cluster than the old one, with credentials of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from memfold.memory.errors import InvalidInput
from memfold.serve.settings import Settings
from memfold.streams.credentials import Credentials


class NewCluster(Credentials, BaseSettings):
    """MEMFOLD_INTO_*, named as MEMFOLD_* are; none of them is taken from the old cluster's."""

    model_config = SettingsConfigDict(env_prefix="MEMFOLD_INTO_", frozen=True)

    bootstrap_servers: str | None = None

    @classmethod
    def configured(cls, bootstrap_servers: str | None) -> Self:
        """From the environment, but for what is given. Raises InvalidInput."""
        try:
            return cls(bootstrap_servers=bootstrap_servers) if bootstrap_servers else cls()
        except ValidationError as wrong:
            said = "; ".join(each["msg"].removeprefix("Value error, ") for each in wrong.errors())
            raise InvalidInput(
                f"the new cluster: {said}. Set it as MEMFOLD_INTO_<NAME>, named as the old one's MEMFOLD_<NAME>"
            ) from None

    def settings_of(self, old: Settings, home: Path, partitions: int) -> Settings:
        """Of the new home: the old one's, but for where it is, how many partitions it has, and its Kafka; unset: one of its own."""
        given = {name: getattr(self, name) for name in Credentials.model_fields}
        place = {"home": home, "partitions": partitions, "bootstrap_servers": self.bootstrap_servers}
        return old.model_copy(update=given | place)
