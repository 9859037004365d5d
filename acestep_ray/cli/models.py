"""The commands ``models`` and ``adapters``: what the service can do now."""

from typing import TYPE_CHECKING, Annotated

import typer

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.failures import shown_failures
from acestep_ray.cli.groups import SERVICE
from acestep_ray.cli.option_groups import with_groups
from acestep_ray.cli.output import console, show_document

if TYPE_CHECKING:
    from rich.table import Table

    from acestep_ray.client import Adapters, Models


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=SERVICE)(with_groups(models))
    app.command(rich_help_panel=SERVICE)(with_groups(adapters))


def models(
    connection: Connection,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document to stdout.")
    ] = False,
) -> None:
    """List the models of the service, what each can do, and the limits of a song."""
    with shown_failures(as_json=json), connection.open() as client:
        found = client.models()
    if json:
        show_document(found.model_dump(mode="json"))
        return
    out = console()
    out.print(_table(found))
    limits, defaults = found.limits, found.defaults
    for line in (
        f"formats    {', '.join(found.audio_formats)}",
        f"length     up to {limits.duration:g} s; {defaults.duration:g} s if none is asked for",
        f"takes      up to {limits.batch_size}; {defaults.batch_size} if none are asked for",
        f"languages  {', '.join(found.languages)}",
    ):
        out.print(line, markup=False)


def adapters(
    connection: Connection,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document to stdout.")
    ] = False,
) -> None:
    """List the LoRA and LoKr adapters of the service, for --adapter."""
    with shown_failures(as_json=json), connection.open() as client:
        found = client.adapters()
    if json:
        show_document(found.model_dump(mode="json"))
        return
    out = console()
    if not found.adapters:
        out.print("The service has no adapters: ACESTEP_ADAPTERS names their folder.", markup=False)
        return
    out.print(_adapter_table(found))
    if found.default:
        out.print(
            f"Songs that name no adapter use {found.default}, scale {found.default_scale:g}.",
            markup=False,
        )


def _adapter_table(found: "Adapters") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("ADAPTER", "KIND", "RANK", "MB", "FOR", box=None, pad_edge=False)
    for one in found.adapters:
        rank = "" if one.rank is None else str(one.rank)
        used_with = one.problem or ", ".join(one.models) or "no model that is deployed"
        size = f"{one.bytes / 1e6:.1f}"
        table.add_row(Text(one.name), one.kind or "", rank, size, Text(used_with))
    return table


def _table(found: "Models") -> "Table":
    from rich.table import Table

    table = Table("MODEL", "FOR", "STATE", "CAN", box=None, pad_edge=False)
    for decoder in found.decoders:
        kind = f"{decoder.engine} on {decoder.device}, {decoder.state}"
        name = decoder.name + (" (default)" if decoder.default else "")
        table.add_row(name, "--model", kind, ", ".join(decoder.tasks))
    for planner in found.planners:
        name = planner.name + (" (default)" if planner.default else "")
        state = f"{planner.engine}, {planner.state}"
        table.add_row(name, "--set lm_model_path=", state, "plans songs (--lm)")
    return table
