"""`memfold eval recall`: scores by their definition, a file that does not fit is refused by name, weights are tried out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memfold.memory.errors import InvalidInput
from memfold.memory.weights import Weights
from memfold.serve.cli_eval import weights_from
from memfold.serve.cli_whole import app
from memfold.serve.evaluating import scored
from memfold.serve.evaluation_file import material_from

MATERIAL: dict[str, Any] = {
    "memories": [
        {"id": "a", "text": "I keep the bicycle in the cellar", "speaker": "Ann", "said_at": "2026-03-01"},
        {"id": "b", "text": "I keep the boat in the harbour", "speaker": "Bob", "said_at": "2026-03-02"},
        {"id": "c", "text": "The harbour froze", "scope": "other"},
    ],
    "questions": [
        {"question": "Where is the bicycle?", "evidence": ["a"], "category": "place"},
        {"question": "What does Bob keep?", "evidence": ["b"], "category": "who"},
        {"question": "What froze?", "evidence": ["c"], "scope": "other"},
    ],
}


def written(folder: Path, material: object) -> Path:
    path = folder / "questions.json"
    path.write_text(json.dumps(material))
    return path


def test_scores_are_those_of_the_literature() -> None:
    found = scored(["x", "a", "y", "b", *"klmnop", "c"], {"a", "b", "c", "d"})
    assert (found["R@5"], found["R@10"], found["R@20"]) == (0.5, 0.5, 0.75)
    assert found["MRR"] == 0.5
    assert found["nDCG@10"] == pytest.approx(
        (1 / 1.58496 + 1 / 2.32193) / (1 + 1 / 1.58496 + 0.5 + 1 / 2.32193), rel=1e-4
    )
    assert set(scored([], {"a"}).values()) == {0}


def test_a_file_is_measured_with_weights_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path, MATERIAL)
    done = CliRunner().invoke(app, ["eval", "recall", str(path), "--json", "--weights", '{"time": 0.5}'])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["questions"], found["memories"]) == (3, 3)
    assert found["overall"]["R@10"] == found["overall"]["MRR"] == 1
    assert set(found["by_category"]) == {"all", "place", "who"}
    assert found["weights"] == Weights(time=0.5).model_dump()
    table = CliRunner().invoke(app, ["eval", "recall", str(path)])
    assert "3 questions of 3 memories" in table.stdout
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"questions": []}, "no questions"),
        ({"questions": [{"question": "?", "evidence": ["z"]}]}, "must name ids"),
        ({"questions": [{"question": "?", "evidence": []}]}, "must name ids"),
        ({"memories": [{"id": "a"}]}, "text"),
        ({"memory": []}, "memory"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        material_from(written(tmp_path, MATERIAL | change))
    with pytest.raises(InvalidInput, match="cannot be read"):
        material_from(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "no JSON"), ("[1]", "JSON object"), ('{"speed": 1}', "speed"), ('{"time": -1}', "time")],
)
def test_weights_that_are_none(text: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        weights_from(Weights(), text)
