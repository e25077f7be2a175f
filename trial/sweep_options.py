"""The options of `trial.sweep`: type, help with default and unit, group."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from search_spaces.objectives import OBJECTIVES
from trial.request import SamplerName, SchedulerName
from trial.tuning import MAX_DRAWS

BUDGETS, SEARCH, PLACEMENT = "Budgets", "Search", "Placement"


class StageName(StrEnum):
    search = "search"
    confirm = "confirm"
    both = "both"


SpaceName = Annotated[
    str | None,
    typer.Argument(help="Search space, or a Python file that defines one; --list shows them.", show_default=False),
]
Panel = Annotated[
    Path | None,
    typer.Option(
        help="Panel: Parquet file, folder or hive tree, of OHLCV or of your own features and targets. "
        "(default: a synthetic market that is generated once)",
        show_default=False,
    ),
]
DataConfigFile = Annotated[
    Path | None,
    typer.Option(
        help="YAML of the data settings: columns, universe, labels, splits. (default: the space's)",
        show_default=False,
    ),
]
Runs = Annotated[Path, typer.Option(help="Folder of everything that a sweep writes.")]
Storage = Annotated[
    str | None,
    typer.Option(
        help="Database of the studies: sqlite:///FILE, postgresql://USER@HOST/DB, or env:NAME for a URL with a "
        "password, kept in that variable. (default: sqlite:///<runs>/sweeps.db)",
        show_default=False,
    ),
]
StudyName = Annotated[
    str | None,
    typer.Option("--name", help="Name of the study. (default: the space's)", show_default=False),
]
Stage = Annotated[StageName, typer.Option(help="Search, confirm the arms, or both in turn.")]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Finished search trials to reach, in any state. (default: the space's)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Epochs of a full trial. (default: the space's; 3 on the synthetic market)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Seeds per confirm arm and fold, no more and no less. (default: the space's, and then as many as its "
        "precision needs, 20 at most; 2 on the synthetic market)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Arms = Annotated[
    str | None,
    typer.Option(
        help="Arms to tune and confirm, comma between; the first four are retuned. (default: the space's)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=MAX_DRAWS,
        help="Points that the reference and each retuned arm try on the search fold, with two seeds, before they are "
        "confirmed; 0: arms keep the reference's hyper-parameters, and no verdict is given. (default: the space's; 2 "
        "on the synthetic market)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
TimeBudget = Annotated[
    str | None,
    typer.Option(
        help="Stop cleanly after this long: 90s, 30m, 2h, 1d; trials under way leave after their step and go on at "
        "the next start. (default: no limit)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Drain = Annotated[
    str | None,
    typer.Option(
        help="Start no trial in the last so long of the time budget, so that those under way can end. (default: 0s)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
GPUHours = Annotated[
    float | None,
    typer.Option(
        help="Start no trial once so many GPU-hours are used by both stages. (default: no limit)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="End the search once so many trials in a row brought nothing better. (default: never)",
        show_default=False,
        rich_help_panel=BUDGETS,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the sampler and of the search trials.", rich_help_panel=SEARCH)]
Sampler = Annotated[
    SamplerName,
    typer.Option(help="Draws: TPE, random, or quasi-random (scrambled Sobol).", rich_help_panel=SEARCH),
]
Early = Annotated[
    SchedulerName | None,
    typer.Option(
        help="Early stopping of the search. (default: the space's)", show_default=False, rich_help_panel=SEARCH
    ),
]
Objectives = Annotated[
    str | None,
    typer.Option(
        help=f"Comma between: {', '.join(OBJECTIVES)}. Early stopping and the report go by the first, rank_ic. "
        "(default: the space's)",
        show_default=False,
        rich_help_panel=SEARCH,
    ),
]
Constraints = Annotated[
    list[str] | None,
    typer.Option(
        help="Bound on one of them, such as turnover<=0.3 or memory<=2000 (MiB); may be repeated. "
        "(default: the space's)",
        show_default=False,
        rich_help_panel=SEARCH,
    ),
]
WarmStart = Annotated[
    list[str] | None,
    typer.Option(
        help="Study whose five best are tried first; may be repeated. (default: none)",
        show_default=False,
        rich_help_panel=SEARCH,
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Ask --concurrent trials (default 1), wait for all, ask again: equal seeds give equal studies.",
        rich_help_panel=SEARCH,
    ),
]
CPUsPerTrial = Annotated[float, typer.Option(min=0.01, help="CPUs that one trial takes.", rich_help_panel=PLACEMENT)]
GPUsPerTrial = Annotated[
    float,
    typer.Option(min=0.0, help="GPUs that one trial takes: a whole number, or 1/k.", rich_help_panel=PLACEMENT),
]
MemoryPerTrial = Annotated[
    str | None,
    typer.Option(
        help="Memory that one trial is placed by: MiB, or 'auto' for what two small steps of its network predict. "
        "(default: not looked at)",
        show_default=False,
        rich_help_panel=PLACEMENT,
    ),
]
Concurrent = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials at once, at most. (default: as many as fit)",
        show_default=False,
        rich_help_panel=PLACEMENT,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="HOST:PORT of a running Ray cluster, or 'auto'. (default: start Ray here)",
        show_default=False,
        rich_help_panel=PLACEMENT,
    ),
]
Join = Annotated[
    bool,
    typer.Option(
        "--join", help="Work on a study beside its living driver (PostgreSQL only).", rich_help_panel=PLACEMENT
    ),
]
AcceptChanges = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on with a study although its space, market, split or code changed; what changed is kept with it.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything, train two probe trials for some steps, show plan, time, memory and disk.",
    ),
]
ListSpaces = Annotated[bool, typer.Option("--list", help="Show the search spaces and leave.")]
