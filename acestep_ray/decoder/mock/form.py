"""The form of a song: its sections, their energy, and which line is sung where."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from acestep_ray.decoder.mock.lyrics import Kind, Section, Syllable

_ENERGY: dict[Kind, float] = {
    "intro": 0.45,
    "verse": 0.65,
    "chorus": 1.0,
    "bridge": 0.55,
    "solo": 0.85,
    "outro": 0.45,
}
_INSTRUMENTAL: tuple[tuple[Kind, float], ...] = (
    ("intro", 0.5),
    ("verse", 1),
    ("chorus", 1),
    ("verse", 1),
    ("chorus", 1),
    ("bridge", 0.5),
    ("chorus", 1),
)


@dataclass(frozen=True)
class Bar:
    """One bar of the form."""

    index: int
    kind: Kind
    energy: float
    """0 to 1: how much of the band plays, and how loud."""
    place: int
    """Bars since the section began."""
    closes: bool
    """Whether a new section follows."""
    line: tuple[Syllable, ...] = ()
    """The line whose singing begins here."""
    line_bars: int = 0
    """How many bars that line has."""


def lay_out(sections: tuple[Section, ...], bars: int, bar_seconds: float) -> tuple[Bar, ...]:
    """The form of a song of ``bars`` bars.

    If there are lines to sing, each has two bars, or one if bars are long or there would not be
    room for all. The lyrics are repeated, after a solo, as long as there is room; lines after the
    end are not sung. If there are none, the tags give the form, or otherwise a usual form is used.
    """
    lines = sum(len(section.lines) for section in sections)
    if lines:
        wide = 2 if bar_seconds < 3 and 2 * lines <= bars else 1
        parts = _sung(sections, bars, wide)
    else:
        wide, parts = 0, _played(sections, bars)
    laid: list[Bar] = []
    for kind, length, line_at in parts:
        for place in range(length):
            line = line_at.get(place, ())
            laid.append(
                Bar(
                    index=len(laid),
                    kind=kind,
                    energy=_ENERGY[kind],
                    place=place,
                    closes=place == length - 1,
                    line=line,
                    line_bars=wide if line else 0,
                )
            )
            if len(laid) == bars:
                return tuple(laid)
    raise AssertionError("the parts of a song do not end")


_Part = tuple[Kind, int, dict[int, tuple[Syllable, ...]]]


def _sung(sections: tuple[Section, ...], bars: int, wide: int) -> Iterator[_Part]:
    """Sections with ``wide`` bars for each of their lines, repeated without end."""
    lines = sum(len(section.lines) for section in sections)
    if sections[0].kind != "intro" and bars >= wide * lines + 4 and bars >= 10:
        yield "intro", 2, {}
    while True:
        for section in sections:
            at = {wide * number: line for number, line in enumerate(section.lines)}
            yield section.kind, wide * len(section.lines) or 2, at
        yield "solo", 4 if bars >= 24 else 1, {}


def _played(sections: tuple[Section, ...], bars: int) -> Iterator[_Part]:
    """An instrumental's sections, without end."""
    if len(sections) > 1:
        share = max(1, round(bars / len(sections)))
        for section in cycle(sections):
            yield section.kind, share, {}
    if bars < 6:
        yield "chorus", bars, {}
    unit = 8 if bars >= 24 else 4 if bars >= 12 else 2
    for kind, share_of_unit in cycle(_INSTRUMENTAL):
        yield kind, max(1, round(unit * share_of_unit)), {}
