"""Draw the Grafana dashboard as a picture, from its own queries and a Prometheus' answers.

    python -m scripts.draw_dashboard --url http://127.0.0.1:9090 --minutes 10 dashboard.png

Needs matplotlib (the extra ``docs``).
"""

import argparse
import importlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from scripts.dashboard_panels import Panel, panels

SAMPLES = 150
"""Points of a line."""
CELL = (0.52, 0.30)
"""Width and height of a cell of the dashboard's grid, inches."""
DPI = 110
INK, FAINT, PAPER = "#24292f", "#8c959f", "#f6f8fa"


@dataclass(frozen=True)
class Line:
    """One series: its legend, and (seconds since the start, value) for each point."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """Its latest value."""
        return self.points[-1][1]

    @property
    def most(self) -> float:
        """Its largest value."""
        return max(value for _, value in self.points if math.isfinite(value))


def lines_of(http: httpx.Client, panel: Panel, start: float, end: float, window: str) -> list[Line]:
    """The series of a panel, from ``start`` to ``end`` (epoch seconds). Those without a number are
    left out."""
    found = []
    for query in panel.queries:
        parameters: dict[str, str | float] = {
            "query": query.for_prometheus(window),
            "start": start,
            "end": end,
            "step": (end - start) / SAMPLES,
        }
        answer = http.get("/api/v1/query_range", params=parameters).raise_for_status()
        for series in answer.json()["data"]["result"]:
            values = [(float(at) - start, float(value)) for at, value in series["values"]]
            points = [point for point in values if math.isfinite(point[1])]
            if points:
                name = query.name(series["metric"])
                found.append(Line(name, with_gaps(points, (end - start) / SAMPLES)))
    return found


def with_gaps(
    points: Sequence[tuple[float, float]], step: float
) -> tuple[tuple[float, float], ...]:
    """The points, with a NaN wherever some are missing, so that no line is drawn there."""
    found = list(points[:1])
    for (before, _), (at, value) in pairwise(points):
        if at - before > 1.5 * step:
            found += [(before + step, math.nan), (at - step, math.nan)]
        found.append((at, value))
    return tuple(found)


def text_of(value: float, unit: str) -> str:
    """A number as Grafana would write it, about."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value / 60:.3g} min" if value >= 90 else f"{value:.3g} s"
    return f"{value:.3g}"


class Picture:
    """``plt``: matplotlib.pyplot."""

    def __init__(self, plt: Any, shown: Sequence[Panel], seconds: float) -> None:
        self._plt = plt
        self._seconds = seconds
        self._rows = max(panel.place[1] + panel.place[3] for panel in shown) + 0.3
        size = (24 * CELL[0], self._rows * CELL[1])
        self._figure = plt.figure(figsize=size, dpi=DPI, facecolor=PAPER)
        for panel in {panel.row: panel for panel in reversed(shown)}.values():  # first of each row
            y = 1 - (panel.place[1] - 0.25) / self._rows
            self._figure.text(0.008, y, panel.row, fontsize=11, fontweight="bold", color=INK)

    def add(self, panel: Panel, lines: Sequence[Line]) -> None:
        """Draw one panel."""
        x, y, width, height = panel.place
        left, bottom = x / 24 + 0.004, 1 - (y + height) / self._rows
        wide, high = width / 24 - 0.008, (height - 0.35) / self._rows
        card = self._figure.add_axes((left, bottom, wide, high), facecolor="white")
        card.set_xticks([])
        card.set_yticks([])
        for side in card.spines.values():
            side.set_color("#d0d7de")
        top = 1 - 0.62 / height
        card.text(0.02, top, panel.title, transform=card.transAxes, fontsize=9, color=INK)
        if not lines:
            card.text(0.5, 0.4, "no data", transform=card.transAxes, ha="center", color=FAINT)
        elif panel.kind == "stat":
            self._numbers(card, panel, lines)
        else:
            plot = (
                left + 0.036,
                bottom + 1.75 / self._rows,
                wide - 0.044,
                high - 2.75 / self._rows,
            )
            below = (left + 0.006, bottom + 1.25 / self._rows)
            self._lines(self._figure.add_axes(plot), panel, lines, below)

    def _numbers(self, card: Any, panel: Panel, lines: Sequence[Line]) -> None:
        for number, line in enumerate(lines):
            number_shown = line.last if panel.decimals != 0 else round(line.last)
            value = panel.values.get(f"{line.last:g}") or text_of(number_shown, panel.unit)
            across = (number + 0.5) / len(lines)
            card.text(
                across, 0.36, value, transform=card.transAxes, ha="center", fontsize=15, color=INK
            )
            card.text(
                across, 0.13, line.name, transform=card.transAxes, ha="center", fontsize=7,
                color=FAINT,
            )  # fmt: skip

    def _lines(
        self, axes: Any, panel: Panel, lines: Sequence[Line], below: tuple[float, float]
    ) -> None:
        """``below``: where the names begin, as parts of the picture."""
        largest = sorted(lines, key=lambda line: -line.most)
        more = [line for line in largest if line.most > 0] or largest
        longest = max(len(line.name) for line in more)
        columns = max(1, int(9 * panel.place[2] / (5 + longest)))  # letters of a cell's width
        named = {line.name for line in more[: 2 * columns]}  # two rows fit below a plot
        colors = self._plt.get_cmap("tab10").colors + self._plt.get_cmap("Set2").colors
        if panel.stacked:
            self._stack(axes, lines, colors)
        for number, line in enumerate(lines):
            color = colors[number % len(colors)]
            if not panel.stacked:
                axes.plot(*zip(*line.points, strict=True), color=color, linewidth=1.2)
            if line.name in named:
                axes.plot([], [], color=color, linewidth=3, label=line.name)
        axes.set_xlim(0, self._seconds)
        flat = all(line.most == 0 for line in lines)
        top = 1.0 if flat or panel.unit == "percentunit" else axes.get_ylim()[1]
        axes.set_ylim(0, 1.02 * top)
        axes.yaxis.set_major_locator(self._plt.MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: text_of(value, panel.unit))
        axes.xaxis.set_major_locator(self._plt.MultipleLocator(60 * max(1, self._seconds // 300)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 60:.3g} min")
        axes.tick_params(labelsize=6.5, colors=FAINT, length=0)
        axes.grid(color="#eaeef2", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.legend(
            loc="upper left", bbox_to_anchor=below, bbox_transform=self._figure.transFigure,
            ncol=columns, fontsize=6.5, frameon=False, borderpad=0,
            handlelength=1, columnspacing=1, labelspacing=0.3,
        )  # fmt: skip

    def _stack(self, axes: Any, lines: Sequence[Line], colors: Sequence[Any]) -> None:
        times = sorted({at for line in lines for at, _ in line.points})
        values = [dict(line.points) for line in lines]
        heights = [[line.get(at, 0.0) for at in times] for line in values]
        heights = [[0.0 if math.isnan(value) else value for value in row] for row in heights]
        used = [colors[number % len(colors)] for number in range(len(lines))]
        axes.stackplot(times, heights, colors=used, alpha=0.75, linewidth=0)

    def save(self, file: Path) -> None:
        """Write the picture, with few colours so that it is small."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._figure.savefig(file, facecolor=PAPER)
        image = importlib.import_module("PIL.Image")
        with image.open(file) as drawn:
            drawn.convert("RGB").quantize(128).save(file, optimize=True)


def draw(url: str, start: float, end: float, file: Path, window: str = "1m") -> None:
    """Draw what a Prometheus knows about the time from ``start`` to ``end`` (epoch seconds).

    ``window``: for rates, as Grafana's ``$__rate_interval``. Raises httpx.HTTPError.
    """
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    plt = importlib.import_module("matplotlib.pyplot")
    shown = list(panels())
    picture = Picture(plt, shown, end - start)
    with httpx.Client(base_url=url, timeout=60) as http:
        for panel in shown:
            picture.add(panel, lines_of(http, panel, start, end, window))
    picture.save(file)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    end = time.time()
    draw(arguments.url, end - 60 * arguments.minutes, end, arguments.file)


if __name__ == "__main__":
    main()
