"""What the drums play in a bar. The first beat of a bar is always the loudest."""

from dataclasses import dataclass

import numpy as np

from acestep_ray.decoder.mock.style import Feel


@dataclass(frozen=True)
class Hit:
    """One stroke: ``beat`` within the bar, ``drum`` a name of drums.DRUMS."""

    beat: float
    drum: str
    gain: float


def backbeats(meter: int) -> tuple[int, ...]:
    """The backbeats: 2 and 4 of 4/4, 2 and 3 of 3/4, 4 of 6/8, 2 of 2/4."""
    return {2: (1,), 3: (1, 2), 4: (1, 3), 6: (3,)}[meter]


def groove(feel: Feel, meter: int, bpm: int, rng: np.random.Generator) -> tuple[Hit, ...]:
    """The bar that the drums of a song repeat."""
    if feel == "none":
        return ()
    hits = [Hit(0, "boom" if feel == "soft" else "kick", 1.0)]
    if feel == "soft":
        hits += [Hit(beat, "shaker", 0.55 if beat else 0.8) for beat in range(meter)]
        hits += [Hit(beat, "rim", 0.35) for beat in backbeats(meter)[-1:]]
        return tuple(hits)
    if feel == "swing":
        hits += [Hit(beat, "kick", 0.35) for beat in range(1, meter)]
        hits += [Hit(beat, "ride", 0.8 if beat else 1.0) for beat in range(meter)]
        hits += [Hit(beat + 2 / 3, "ride", 0.4) for beat in backbeats(meter)]
        return (*hits, *(Hit(beat, "hat", 0.7) for beat in backbeats(meter)))
    kicks, snares = _figure(feel, meter, rng)
    hits += [Hit(beat, "kick", gain) for beat, gain in kicks]
    hits += [Hit(beat, "clap" if feel == "four" else "snare", gain) for beat, gain in snares]
    parts = 1 if bpm > 190 or (meter == 6 and bpm > 100) else 4 if bpm < 60 else 2
    for place in range(meter * parts):
        on_beat = place % parts == 0
        off = "open" if feel == "four" and place % parts * 2 == parts else "hat"
        hits.append(Hit(place / parts, "hat" if on_beat else off, 0.8 if on_beat else 0.45))
    return tuple(hits)


_Stroke = tuple[float, float]


def _figure(
    feel: Feel, meter: int, rng: np.random.Generator
) -> tuple[list[_Stroke], list[_Stroke]]:
    """Kicks besides the first, and snares, as (beat, gain)."""
    answer = backbeats(meter)
    if feel == "four":
        return [(beat, 0.7) for beat in range(1, meter)], [(beat, 0.6) for beat in answer]
    if feel == "half" and meter == 4:
        return [(float(rng.choice((1.5, 2.5, 3.5))), 0.55)], [(2, 0.85)]
    if feel == "break" and meter == 4:
        ghosts = [(float(rng.choice((1.75, 2.25, 3.75))), 0.25)]
        return [(2.5, 0.65)], [(1, 0.8), (3, 0.8), *ghosts]
    kicks = [] if meter in (2, 3) else [(float(meter // 2), 0.6)] if meter == 4 else [(3.0, 0.4)]
    if meter == 4:
        kicks += [(beat, 0.5) for beat in (1.5, 2.5, 3.5) if rng.random() < 0.35]
    return kicks, [(beat, 0.4 if meter == 3 else 0.75) for beat in answer]


def fill(meter: int) -> tuple[Hit, ...]:
    """Leads into a new section: strokes in the last beat of the bar before it."""
    last = meter - 1
    return (
        Hit(last, "snare", 0.6),
        Hit(last + 0.5, "tom", 0.7),
        Hit(last + 0.75, "tom", 0.85),
    )
