"""A what-if over a deployment: its log read, its models changed as asked, and on request the shadow topics as a past."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from memfold.audit.auditor import Auditor
from memfold.audit.bounds import Bounds
from memfold.audit.report import Report
from memfold.memory.errors import InvalidInput
from memfold.memory.ports import DecisionMaker, FactExtractor
from memfold.memory.understanding import Models
from memfold.projections.generations import Generations
from memfold.providers.answers import Key, Tally
from memfold.providers.llm_choice import told
from memfold.providers.presets import OFFLINE, ModelSettings, close_models, embedder_from, judges_from
from memfold.replay.past_build import build_past, check_folder
from memfold.replay.past_log import KafkaTopics
from memfold.replay.progress import Progress, Watch, unwatched
from memfold.replay.what_if import WhatIf, answers_of, asked_of, what_if
from memfold.replay.what_if_asked import Commands, commands_inside
from memfold.replay.what_if_report import Asking, Prices, estimate_report, what_if_report
from memfold.replay.what_if_shadow import ShadowTopics, shadow_events
from memfold.schemas.records import ModelCall
from memfold.serve.embedding import models_of
from memfold.serve.keys import keys_of
from memfold.serve.replaying import origin_of
from memfold.serve.settings import Settings
from memfold.streams.reader import LogReader


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked. `models`: as the configuration has them, with what is to be different; `reuse`: take recorded answers."""

    bounds: Bounds
    models: ModelSettings
    threshold: float | None = None
    prices: Prices | None = None
    dry_run: bool = False
    reuse: bool = True
    shadow: Path | None = None


async def what_if_of(
    settings: Settings, auditor: Auditor, wanted: Wanted, watch: Watch = unwatched
) -> Report:
    """Raises InvalidInput, TooMuchToOpen, WhatIfStopped, and what reading the log raises."""
    moment = datetime.now(UTC)
    folder = await asyncio.to_thread(_checked_shadow, settings, wanted, moment)
    with closing(keys_of(settings)) as keys:
        commands = await asyncio.to_thread(commands_inside, auditor.log, wanted.bounds, keys.erased())
    found = await _decided(settings, commands, wanted, watch)
    asking = Asking(wanted.bounds, _differs(settings, wanted), wanted.prices)
    if wanted.dry_run:
        return estimate_report(found, asking)
    if folder is not None:
        await asyncio.to_thread(_write_shadow, settings, found, folder, moment)
    return await asyncio.to_thread(what_if_report, found, asking, auditor.log.directory)


async def _decided(settings: Settings, commands: Commands, wanted: Wanted, watch: Watch) -> WhatIf:
    tally, known = Tally(), dict[Key, ModelCall]()
    if wanted.reuse:
        known = answers_of(commands)
    vectors = Generations(settings.folder / "projections", "vector")
    embedder = embedder_from(models_of(settings.models, vectors, vectors.served()))
    judges = _judges(wanted, known, tally)
    of, decided, began = sum(len(one.steps) for one in commands.subjects), 0, time.monotonic()

    def done(count: int) -> None:
        nonlocal decided
        decided += count
        watch(Progress(decided, of, decided, time.monotonic() - began, "commands"))

    try:
        return await what_if(commands, asked_of(Models(embedder, *judges), wanted.threshold), tally, done)
    finally:
        await close_models(embedder, *judges)


def _judges(wanted: Wanted, known: dict[Key, ModelCall], tally: Tally) -> tuple[FactExtractor, DecisionMaker]:
    if wanted.models.llm_provider == OFFLINE:
        return judges_from(wanted.models)
    # Only then: the client of model endpoints takes half a second to import.
    from memfold.providers.recorded_answers import RecordedAnswers

    return judges_from(wanted.models, lambda chat: RecordedAnswers(chat, known, tally, dry=wanted.dry_run))


def _differs(settings: Settings, wanted: Wanted) -> list[tuple[str, str]]:
    """What the report says of the models: as they are configured, and as they were asked for."""
    now, then = settings.models, wanted.models
    prompts = [
        name
        for name, changed in (
            ("facts", now.custom_fact_extraction_prompt != then.custom_fact_extraction_prompt),
            ("decisions", now.custom_update_memory_prompt != then.custom_update_memory_prompt),
        )
        if changed
    ]
    return [
        ("configured model", told(now)),
        ("model of the what-if", told(then)),
        ("other instructions for", " and ".join(prompts) or "nothing"),
        ("least similarity shown", "as ever" if wanted.threshold is None else str(wanted.threshold)),
    ]


def _checked_shadow(settings: Settings, wanted: Wanted, moment: datetime) -> Path | None:
    if wanted.shadow is None:
        return None
    if wanted.bounds.until is not None:
        raise InvalidInput(
            "a shadow (--shadow) goes to the end of the log, or it would mix what if with what was; leave out until, or the shadow"
        )
    if wanted.dry_run:
        raise InvalidInput(
            "a dry run decides nothing, so there is no shadow to keep; leave out one of the two"
        )
    folder = wanted.shadow.expanduser().absolute()
    check_folder(folder, moment, settings.tenant, settings.folder)
    return folder


def _write_shadow(settings: Settings, found: WhatIf, folder: Path, moment: datetime) -> None:
    partitions, origin = origin_of(settings, "kafka")
    assert origin.connection is not None
    with closing(keys_of(settings)) as keys:
        events = shadow_events(found, keys)
    with closing(LogReader(origin.connection)) as reader:
        log = ShadowTopics(KafkaTopics(reader), events)
        build_past(folder, moment, settings.tenant, partitions, origin, log, what_if=True)
