"""Names of the takes' files, as far as they are known before a job is sent: a song must not be made
and then have no place."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import typer

OPTION = "--names"
USUAL_TAKES = 2
"""Takes of a request that does not name a number, by the service's default."""
EXTENSIONS = {"wav32": "wav", "aac": "m4a"}
"""Format -> extension of its files, where it is another word."""
_EXTENSION = re.compile(r"\.([A-Za-z]\w*|\{ext\})$")


def with_extension(pattern: str) -> str:
    """The pattern, with the format's extension if it has none: a name such as ``intro`` would be a
    file that no player knows. What follows a dot and begins with a digit is none."""
    return pattern if _EXTENSION.search(pattern) else f"{pattern}.{{ext}}"


def check_pattern(pattern: str) -> None:
    """Raise typer.BadParameter for a pattern that cannot be filled in, or is no name of a file."""
    try:
        example = pattern.format(job_id="j", take=1, ext="mp3", seed="7")
    except (LookupError, ValueError, AttributeError):
        raise typer.BadParameter(
            "only {job_id}, {take}, {seed} and {ext} can be filled in.", param_hint=OPTION
        ) from None
    if Path(example).name != example or example in ("", ".."):
        raise typer.BadParameter(
            f"{pattern!r} is not the name of a file; -o is for folders.", param_hint=OPTION
        )


def check_takes(
    pattern: str, takes: int, seeds: Sequence[str] | None = None, extension: str = "mp3"
) -> list[str]:
    """The names of that many takes, as far as they are known: without those that contain the job's
    id, or a seed that is not known. Raises typer.BadParameter if two takes have one name."""
    known = seeds or [f"?{number}" for number in range(takes)]
    names = [
        pattern.format(job_id="?", take=number + 1, ext=extension, seed=known[number])
        for number in range(takes)
    ]
    if len(set(names)) < takes:
        raise typer.BadParameter(
            f"{pattern} is one name for several takes: add {{take}} to it, or --takes 1.",
            param_hint=OPTION,
        )
    used = {field for _, field, _, _ in Formatter().parse(pattern) if field}
    unknown = {"job_id"} if seeds else {"job_id", "seed"}
    return [] if used & unknown else names


def names_of(pattern: str, fields: Mapping[str, Any]) -> list[str]:
    """The names of the takes of a request, as ``check_takes`` returns them. What the service will
    refuse anyway counts as not given. Raises typer.BadParameter."""
    takes = _number(fields.get("batch_size")) or USUAL_TAKES
    sound = str(fields.get("audio_format") or "mp3").lower()
    return check_takes(pattern, takes, _seeds(fields, takes), EXTENSIONS.get(sound, sound))


def check_files(folder: Path, names: Sequence[str]) -> None:
    """Raise typer.BadParameter if one of them exists in the folder, or cannot."""
    for name in names:
        try:
            (folder / name).lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise typer.BadParameter(f"{name}: {error.strerror}.", param_hint=OPTION) from None
        raise typer.BadParameter(
            f"{folder / name} exists. --overwrite replaces it.", param_hint=OPTION
        )


def _seeds(fields: Mapping[str, Any], takes: int) -> list[str] | None:
    """The seeds of the takes, if the request fixes them."""
    if str(fields.get("use_random_seed")).lower() != "false":
        return None
    given = fields.get("seed")
    words = given if isinstance(given, list) else str(given).split(",")
    seeds = [_number(word) for word in words]
    if len(seeds) == 1 and seeds[0] is not None:
        return [str(seeds[0] + number) for number in range(takes)]
    known = [str(seed) for seed in seeds if seed is not None]
    return known if len(known) == takes else None


def _number(value: object) -> int | None:
    """A whole number that is not below 0, also as a text."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() else None
