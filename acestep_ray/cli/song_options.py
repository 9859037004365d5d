"""The options that describe a song, and the fields of the API that they become."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from acestep_ray.cli.api_fields import check_field
from acestep_ray.cli.sources import (
    REFERENCE_FIELDS,
    SOURCE_FIELDS,
    UnknownSource,
    source_fields,
)
from acestep_ray.cli.strict_json import Ambiguous, parsed

SONG, TAKES, OTHER = "The song", "The takes", "Other fields"

OPTION_OF = {
    "caption": "CAPTION",
    "lyrics": "--lyrics",
    "sample_query": "--describe",
    "use_5hz_lm": "--lm",
    "instrumental": "--instrumental",
    "vocal_language": "--language",
    "bpm": "--bpm",
    "key_scale": "--key",
    "time_signature": "--time-signature",
    "audio_duration": "--duration",
    "batch_size": "--takes",
    "seed": "--seed",
    "use_random_seed": "--seed",
    "audio_format": "--format",
    "inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "guidance_variant": "--guidance-variant",
    "model": "--model",
    "adapters": "--adapter",
    "lrc": "--lrc",
    "scores": "--scores",
    "repainting_start": "--start",
    "repainting_end": "--end",
    "audio_cover_strength": "--strength",
    **dict.fromkeys(SOURCE_FIELDS, "SOURCE"),
    **dict.fromkeys(REFERENCE_FIELDS, "--reference"),
}
"""Field of the API -> the option that sets it."""


@dataclass(frozen=True)
class SongOptions:
    """What the user entered; None: the service's default."""

    lyrics: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="File with the lyrics; - is stdin.",
            rich_help_panel=SONG,
        ),
    ] = None
    lyrics_text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The lyrics themselves.", rich_help_panel=SONG),
    ] = None
    describe: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="A song in a few words, for which the language model writes caption and lyrics; "
            "instead of both.",
            rich_help_panel=SONG,
        ),
    ] = None
    lm: Annotated[
        bool | None,
        typer.Option(
            "--lm/--no-lm",
            show_default=False,
            help="Let the language model plan the song first.",
            rich_help_panel=SONG,
        ),
    ] = None
    instrumental: Annotated[
        bool, typer.Option("--instrumental", help="A song without words.", rich_help_panel=SONG)
    ] = False
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Of the lyrics, such as en.", rich_help_panel=SONG),
    ] = None
    bpm: Annotated[
        int | None,
        typer.Option(metavar="N", help="Beats per minute, 30 to 300.", rich_help_panel=SONG),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Such as 'C major' or Am.", rich_help_panel=SONG),
    ] = None
    time_signature: Annotated[
        str | None,
        typer.Option(metavar="N", help="Beats per bar: 2, 3, 4 or 6.", rich_help_panel=SONG),
    ] = None
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length.", rich_help_panel=SONG)
    ] = None
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE or JOB/TAKE",
            help="Audio whose sound the takes follow: a file, or a take of an earlier job.",
            rich_help_panel=SONG,
        ),
    ] = None
    takes: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many to make, 1 to 8.", rich_help_panel=TAKES),
    ] = None
    seed: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]", help="One, or one per take, to repeat them.", rich_help_panel=TAKES
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="mp3, wav, flac, opus, ... (see models).", rich_help_panel=TAKES
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Diffusion steps, 1 to 200.", rich_help_panel=TAKES),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="How closely to follow CAPTION, 0 to 30.", rich_help_panel=TAKES
        ),
    ] = None
    guidance_variant: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="How guidance works: apg_classic, cfg, adg, adg_w_norm or adg_wo_clip.",
            rich_help_panel=TAKES,
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Decoder model (see models).", rich_help_panel=TAKES),
    ] = None
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:SCALE]",
            help="LoRA or LoKr adapter (see adapters), as often as needed.",
            rich_help_panel=TAKES,
        ),
    ] = None
    lrc: Annotated[
        bool,
        typer.Option(
            "--lrc",
            help="Find when each line of the lyrics is sung (in --json).",
            rich_help_panel=TAKES,
        ),
    ] = False
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help="Measure how clearly the lyrics are sung (in --json).",
            rich_help_panel=TAKES,
        ),
    ] = False
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any other field of the API (docs/api.md), as often as needed.",
            rich_help_panel=OTHER,
        ),
    ] = None


def song_fields(options: SongOptions, **of_command: Any) -> dict[str, Any]:
    """The fields of the API for ``Client.generate``. ``of_command``: those that the command sets.

    Raises typer.BadParameter.
    """
    if options.lyrics is not None and options.lyrics_text is not None:
        raise typer.BadParameter("only one of --lyrics and --lyrics-text can be given.")
    lyrics = options.lyrics_text if options.lyrics is None else _text_of(options.lyrics)
    found = {
        "lyrics": lyrics,
        "sample_query": options.describe,
        "use_5hz_lm": options.lm,
        "instrumental": options.instrumental or None,
        "vocal_language": options.language,
        "bpm": options.bpm,
        "key_scale": options.key,
        "time_signature": options.time_signature,
        "audio_duration": options.duration,
        "batch_size": options.takes,
        "seed": options.seed,
        "use_random_seed": None if options.seed is None else False,
        "audio_format": options.format,
        "inference_steps": options.steps,
        "guidance_scale": options.guidance,
        "guidance_variant": options.guidance_variant,
        "model": options.model,
        "adapters": options.adapter or None,
        "lrc": options.lrc or None,
        "scores": options.scores or None,
        **(audio_fields(options.reference, "--reference") if options.reference else {}),
        **of_command,
    }
    found = {name: value for name, value in found.items() if value is not None}
    for name, value in map(_assignment, options.set or ()):
        if name in found:
            option = OPTION_OF.get(name, name)
            raise typer.BadParameter(f"{name} is set twice, by {option} and by --set.")
        found[name] = value
    return found


def audio_fields(text: str, option: str = "SOURCE") -> dict[str, Any]:
    """The fields for SOURCE or --reference. Raises typer.BadParameter."""
    names = SOURCE_FIELDS if option == "SOURCE" else REFERENCE_FIELDS
    try:
        return source_fields(text, names)
    except UnknownSource as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _text_of(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} is not UTF-8 text.", param_hint="--lyrics") from None
    except OSError as error:
        raise typer.BadParameter(
            f"{file}: {error.strerror or error}.", param_hint="--lyrics"
        ) from None


def _assignment(text: str) -> tuple[str, Any]:
    """FIELD=VALUE. A list or an object is JSON; other values are read by the service."""
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text} is not FIELD=VALUE.", param_hint="--set")
    try:
        check_field(name)
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--set") from None
    if name in ("src_audio", "reference_audio"):
        file = Path(value)
        if not file.is_file():
            raise typer.BadParameter(f"{value} is not a file.", param_hint=f"--set {name}")
        return name, file
    if value[:1] in ("[", "{"):
        try:
            return name, parsed(value)
        except Ambiguous as error:
            raise typer.BadParameter(f"{name}: {error}", param_hint="--set") from None
        except ValueError:
            return name, value
    return name, value
