"""The mapping of a source: a small TOML file that says where in a record the user, the words and the rest of it stand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from memfold.memory.errors import InvalidInput
from memfold.memory.intake import IDS, Said, brought_key, checked_said, key_of_record

Role = Literal["user", "assistant", "system", "tool"]
BESIDE = ("@key", "@timestamp")
"""What stands beside a record in its topic: its key as text, its time in milliseconds."""


def _steps(path: object) -> object:
    return path.split(".") if isinstance(path, str) else path


Step = Annotated[str, Field(min_length=1)]
Where = Annotated[tuple[Step, ...], Field(min_length=1), BeforeValidator(_steps)]
"""A dotted path, "customer.id"; or its steps, ["customer", "e.mail"], where a name has a dot. A number counts in a list, from 0."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fields(_Strict):
    """Where each thing stands in a record."""

    user_id: Where | None = None
    agent_id: Where | None = None
    run_id: Where | None = None
    actor_id: Where | None = None
    text: Where | None = None
    role: Where | None = None
    name: Where | None = None
    messages: Where | None = None
    time: Where | None = None
    idempotency_key: Where | None = None
    metadata: Where | None = None


class Constants(_Strict):
    """What is the same for every record."""

    user_id: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    actor_id: str | None = None
    role: Role | None = None


class SourceMapping(_Strict):
    """What a mapping file may say. `source` names the system in which the idempotency keys are unique."""

    source: str = Field(min_length=1, max_length=200)
    infer: bool = True
    time_unit: Literal["s", "ms"] = "s"
    fields: Fields
    constants: Constants = Constants()
    roles: dict[str, Role] = {}
    metadata: dict[str, Where] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        fields, constants = self.fields, self.constants
        for name in Constants.model_fields:
            if getattr(fields, name) is not None and getattr(constants, name) is not None:
                raise ValueError(f"{name} is in [fields] and in [constants]; leave one of them out")
        if (fields.text is None) == (fields.messages is None):
            raise ValueError("[fields] needs text, or messages where a record holds a list of them, not both")
        if fields.messages is not None and (fields.role or fields.name or constants.role):
            raise ValueError("role and name stand in the messages themselves; leave them out of the mapping")
        if not any(getattr(fields, name) or getattr(constants, name) for name in IDS[:3]):
            raise ValueError(
                "nothing says whose the memories are: give user_id, agent_id or run_id in [fields] or [constants]"
            )
        if fields.metadata is not None and self.metadata:
            raise ValueError("metadata is in [fields] as a whole and in [metadata] by name; leave one out")
        return self

    def said(self, record: Mapping[str, Any], beside: Mapping[str, Any], identity: str) -> Said:
        """What a record says. `identity` tells it from every other record of the source, where it brings no key of its own.

        Raises InvalidInput, InvalidType, saying what is wrong with it.
        """
        found = self.constants.model_dump(exclude_none=True)
        for name, where in self.fields:
            if where is not None and (value := _value(record, beside, where)) is not None:
                found[name] = value
        if self.metadata:
            values = {name: _value(record, beside, where) for name, where in self.metadata.items()}
            found["metadata"] = {name: value for name, value in values.items() if value is not None}
        self._translate(found)
        if self.fields.idempotency_key is not None:
            key = key_of_record(self.source, "key", brought_key(found.get("idempotency_key")))
        else:
            key = key_of_record(self.source, "at", identity)
        return checked_said(found, key)

    def _translate(self, found: dict[str, Any]) -> None:
        """Roles into memfold's, milliseconds into seconds."""
        found["role"] = self._role(found.get("role"))
        if isinstance(found.get("messages"), list):
            found["messages"] = [
                {**one, "role": self._role(one["role"])} if isinstance(one, dict) and "role" in one else one
                for one in found["messages"]
            ]
        time, in_milliseconds = (
            found.get("time"),
            self.time_unit == "ms" or self.fields.time == ("@timestamp",),
        )
        if in_milliseconds and isinstance(time, int | float) and not isinstance(time, bool):
            found["time"] = time / 1000

    def _role(self, role: Any) -> Any:
        return self.roles.get(role, role) if isinstance(role, str) else role


def published(source: str) -> SourceMapping:
    """The mapping of records that are written for memfold (docs/commands.md), where no file is given."""
    names = [name for name in Fields.model_fields if name not in ("text", "role", "name")]
    return SourceMapping.model_validate({"source": source, "fields": {name: name for name in names}})


def mapping_in(path: Path) -> SourceMapping:
    """Read a mapping file. Raises InvalidInput naming each place that is wrong."""
    try:
        return SourceMapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as wrong:
        raise InvalidInput(f"the mapping {path} cannot be read: {wrong}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise InvalidInput(f"the mapping {path} is no TOML: {wrong}") from None
    except ValidationError as wrong:
        lines = [
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in wrong.errors()
        ]
        raise InvalidInput(f"the mapping {path}: {'; '.join(lines)}; see docs/ingest.md") from None


def _value(record: Any, beside: Mapping[str, Any], where: tuple[str, ...]) -> Any:
    if where[0] in BESIDE:
        return beside.get(where[0])
    for step in where:
        if isinstance(record, Mapping):
            record = record.get(step)
        elif isinstance(record, list) and step.isdecimal() and int(step) < len(record):
            record = record[int(step)]
        else:
            return None
    return record
