"""Back to the generation that was served before: brought up to the log first, so that nothing learnt since is missing."""

from __future__ import annotations

from collections.abc import Mapping

from memfold.memory.errors import InvalidInput
from memfold.projections.generations import Generations
from memfold.replay.build import Origin
from memfold.replay.progress import Watch, unwatched
from memfold.replay.rebuild import Rebuilt, Switch, built_to_the_end, serve_all, tasks_of


def previous_of(generations: Mapping[str, Generations]) -> dict[str, str]:
    """The generation to return to, of each projection. Raises InvalidInput where there is none."""
    found: dict[str, str] = {}
    for name, each in generations.items():
        previous = each.previous()
        if previous is None:
            raise InvalidInput(
                f"{name} serves {each.served()}, and no generation before it is left; `memfold replay rebuild {name}` makes a new one"
            )
        found[name] = previous
    return found


def rollback(
    generations: Mapping[str, Generations],
    partitions: int,
    origin: Origin,
    switch: Switch,
    watch: Watch = unwatched,
) -> list[Rebuilt]:
    """Serve the previous generation again, caught up; the one served now becomes the previous. Raises InvalidInput, and as `build`.

    The origin's embedder has to be that of the previous generation of vectors. Nobody else may rebuild meanwhile (`only_one`).
    """
    back = previous_of(generations)
    tasks = tasks_of(generations, back, range(partitions))
    built = built_to_the_end(tasks, origin, lambda one: None, watch, digests=False)
    serve_all(generations, back, switch)
    return [
        Rebuilt(name, back[name], [one for one in built if one.task.projection == name])
        for name in generations
    ]
