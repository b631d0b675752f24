"""Lines as a source: what tells them apart, and where a file goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memfold.memory.errors import IngestRunning, InvalidInput
from memfold.memory.intake_source import Place, SourceRecord
from memfold.serve.intake_lines import LineSource
from memfold.serve.intake_places import places_of
from memfold.serve.source_mapping import SourceMapping

MAPPING = SourceMapping.model_validate({"source": "s", "fields": {"user_id": "u", "text": "t"}})


def taken(path: Path, place: Place | None = None) -> list[SourceRecord]:
    source = LineSource(path)
    assert place is None or source.go_on(place)
    records: list[SourceRecord] = []
    while (some := source.take()) is not None:
        records += some
    source.close()
    return records


@given(
    st.lists(st.sampled_from([b'{"t": 1}', b'{"t": 2}', b"", b"rubbish"]), max_size=12), st.integers(0, 12)
)
def test_ids_are_those_of_the_text_up_to_the_line_wherever_reading_began(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cut: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    whole = taken(path)
    assert len({one.identity for one in whole}) == len(whole) == sum(1 for line in lines if line)
    assert [bool(one.flaw) for one in whole] == [line == b"rubbish" for line in lines if line]
    some = whole[: cut + 1]
    if some:
        assert whole == some + taken(path, some[-1].after)


def test_a_last_line_without_its_end_is_read_again_and_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"t": 1}\n{"t": 2}')
    first = taken(path)
    path.write_bytes(b'{"t": 1}\n{"t": 2}\n{"t": 3}\n')
    again = taken(path, first[-1].after)
    assert [one.where for one in again] == ["line 2", "line 3"]
    assert again[0].identity == first[1].identity


def test_a_file_whose_beginning_changed_is_not_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"t": 1}\n{"t": 2}\n')
    after = taken(path)[-1].after
    for other in (b'{"t": 7}\n{"t": 2}\n', b'{"t": 1}\n'):
        path.write_bytes(other)
        source = LineSource(path)
        assert not source.go_on(after)
        source.close()


def test_no_file_and_a_line_without_an_end_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        LineSource(tmp_path / "none.jsonl")
    (tmp_path / "long").write_bytes(b"x" * (5 * 1024 * 1024))
    source = LineSource(tmp_path / "long")
    with pytest.raises(InvalidInput, match="is it JSON lines"):
        source.take()
    source.close()


def test_places_are_kept_one_process_at_a_time_and_under_one_mapping(tmp_path: Path) -> None:
    with places_of(tmp_path, "chats", "id", MAPPING, False) as places:
        places.move({0: Place(3, "d"), 1: Place(9)})
        with (
            pytest.raises(IngestRunning, match=r"process \d+"),
            places_of(tmp_path, "chats", "id", MAPPING, False),
        ):
            pass
        with places_of(tmp_path, "others", "other id", MAPPING, False) as other:
            assert other.by_partition == {}
    changed = MAPPING.model_copy(update={"infer": False})
    with (
        pytest.raises(InvalidInput, match="infer was True and is False"),
        places_of(tmp_path, "chats", "id", changed, False),
    ):
        pass
    with places_of(tmp_path, "chats", "id", changed, True) as places:
        assert places.by_partition == {0: Place(3, "d"), 1: Place(9)}
        places.move({1: Place(10)})
    assert {json.loads(file.read_text())["mapping"]["infer"] for file in tmp_path.glob("*.json")} == {False}
