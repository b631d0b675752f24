"""`memfold eval recall`: what a set of weights is worth, measured on one's own questions."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from memfold.memory.errors import InvalidInput
from memfold.memory.weights import Weights
from memfold.providers.presets import close_models, embedder_from
from memfold.serve.cli_options import Json, console, print_json, print_rows
from memfold.serve.evaluating import Measured, measure
from memfold.serve.evaluation_file import Material, material_from
from memfold.serve.settings import Settings, settings_from

app = typer.Typer(no_args_is_help=True)


def register(whole: typer.Typer) -> None:
    whole.add_typer(app, name="eval", help="Measure on your own material.")


@app.callback()
def evaluation() -> None:
    """Measure on your own material."""


@app.command()
def recall(
    questions: Annotated[Path, typer.Argument(help="JSON: memories, and questions with their evidence.")],
    weights: Annotated[
        str | None, typer.Option(help='Weights that differ from the settings, as JSON: {"time": 0.5}.')
    ] = None,
    as_json: Json = False,
) -> None:
    """How much of the evidence a search finds, in a folder of its own: no broker, and nothing of yours is touched.

    The file is {"memories": [{"id", "text", "speaker", "said_at", "run_id", "scope"}], "questions": [{"question", "evidence", "category",
    "scope"}]}; a memory needs id and text, a question its words and the ids of its evidence.
    """
    settings = settings_from()
    material, chosen = material_from(questions), weights_from(settings.weights, weights)
    measured = asyncio.run(_measure(settings, material, chosen))
    if as_json:
        print_json(result(measured) | {"weights": chosen.model_dump()})
        return
    names = list(measured.mean())
    kinds: list[str | None] = [None, *(measured.categories() if len(measured.categories()) > 1 else [])]
    rows: list[list[object]] = [
        [kind or "all", *(f"{measured.mean(kind)[name]:.3f}" for name in names)] for kind in kinds
    ]
    print_rows(f"{len(measured.rows)} questions of {measured.memories} memories", ["questions", *names], rows)
    console.print(
        f"search p50 {measured.percentile(0.5):.1f} ms, p95 {measured.percentile(0.95):.1f} ms",
        highlight=False,
    )


async def _measure(settings: Settings, material: Material, weights: Weights) -> Measured:
    embedder = embedder_from(settings.models)
    try:
        return await measure(material, embedder, weights)
    finally:
        await close_models(embedder)


def result(measured: Measured) -> dict[str, object]:
    """As JSON: means overall and by category, times in milliseconds."""
    return {
        "questions": len(measured.rows),
        "memories": measured.memories,
        "overall": measured.mean(),
        "by_category": {category: measured.mean(category) for category in measured.categories()},
        "search_p50_ms": measured.percentile(0.5),
        "search_p95_ms": measured.percentile(0.95),
        "adds_per_second": measured.added_per_second,
    }


def weights_from(base: Weights, text: str | None) -> Weights:
    """The settings' weights with those of a JSON object on top. Raises InvalidInput naming the weight."""
    try:
        given = json.loads(text) if text else {}
        if not isinstance(given, dict):
            raise InvalidInput(f"--weights must be a JSON object, not {text}")
        return Weights(**(base.model_dump() | given))
    except ValidationError as wrong:
        named = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors())
        raise InvalidInput(f"--weights: {named}; known are {', '.join(Weights.model_fields)}") from None
    except json.JSONDecodeError as wrong:
        raise InvalidInput(f"--weights is no JSON: {wrong}; write for example '{{\"time\": 0.5}}'") from None
