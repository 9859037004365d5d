"""Both of vLLM's interfaces, with vLLM's own objects: every token is the sampler's."""

import random
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.sampling_params import StructuredOutputsParams

from acestep_ray.planner.sampling import Phase, Sampler, Sampling, step_keys
from acestep_ray.planner.tokens import (
    CODES,
    FIRST_CODE,
    IM_END,
    IM_START,
    STOP_IDS,
    THINK,
    VOCABULARY,
)
from acestep_ray.planner.transformers.phases import _LYRICS_TOKENS
from acestep_ray.planner.vllm import rows
from acestep_ray.planner.vllm.params import sampling_params
from acestep_ray.planner.vllm.processor import PlanProcessor
from acestep_ray.planner.vllm.row_order import PAIR, RowOrder
from tests.models.planner.vllm.batches import DEVICE, SLOTS, Batch, V1Batch, batch

__all__ = ["batch"]
CODE_TOKENS = slice(FIRST_CODE, FIRST_CODE + CODES)
UNCOND = (1, 2, 3)


@dataclass
class Song:
    """A request, its rows, and what a plain loop around the sampler would have written."""

    name: str
    order: RowOrder
    reads: int = 0
    """Steps in which its prompt is not yet read to the end."""
    written: list[int] = field(default_factory=list)
    seen: Tensor = field(
        default_factory=lambda: torch.zeros(1, CODES, dtype=torch.bool, device=DEVICE)
    )

    @property
    def halves(self) -> list[str]:
        return [self.name, f"{self.name}#"] if self.order.uncond else [self.name]

    def enter(self, batch: Batch) -> None:
        grammar = StructuredOutputsParams(regex="x")
        metadata = self.order.phase is Phase.METADATA
        params = sampling_params(self.order, grammar if metadata else None)
        pair = {PAIR: self.name} if self.order.uncond else {}
        params.extra_args = {**self.order.to_extra_args(), **pair}
        batch.enter(self.name, params, self.written)
        for shadow in self.halves[1:]:
            params = SamplingParams(
                temperature=0.0, max_tokens=self.order.count, extra_args={PAIR: self.name}
            )
            batch.enter(shadow, params, self.written)

    def expected(self, logits: dict[str, Tensor]) -> int:
        both = [logits[half][CODE_TOKENS].unsqueeze(0) for half in self.halves]
        code = Sampler([self.order.sampling], DEVICE).choose(
            both[0],
            step_keys(self.order.sampling.seed, Phase.CODES, [len(self.written)]).to(DEVICE),
            uncond=both[1] if self.order.uncond else None,
            seen=self.seen,
        )
        self.seen[0, code] = True
        return FIRST_CODE + int(code)


def random_song(rng: random.Random, number: int) -> Song:
    guided = rng.random() < 0.5
    sampling = Sampling(
        seed=rng.randrange(2**32),
        temperature=rng.choice([0.0, 0.7, 1.3]),
        top_k=rng.choice([None, 3, 50]),
        top_p=rng.choice([None, 0.5, 0.9]),
        cfg_scale=rng.choice([1.5, 4.0]) if guided else 1.0,
        repetition_penalty=rng.choice([1.0, 1.4]),
    )
    order = RowOrder(Phase.CODES, sampling, rng.randrange(2, 9), UNCOND if guided else ())
    return Song(f"song-{number}", order, reads=0 if guided else rng.choice([0, 0, 2]))


def random_logits(songs: list[Song]) -> dict[str, Tensor]:
    """Coarse, so that codes repeat and penalties matter."""
    found = {}
    for song in songs:
        for half in song.halves:
            logits = torch.randn(VOCABULARY, device=DEVICE)
            favourites = torch.arange(FIRST_CODE + 3, FIRST_CODE + 9, device=DEVICE)
            logits[favourites] += 4 + torch.randn(len(favourites), device=DEVICE)
            logits[:FIRST_CODE] += 20  # text, and codes unknown to the decoder, must not be chosen
            logits[FIRST_CODE + CODES :] += 20
            found[half] = logits
    return found


def only(row: Tensor) -> int:
    """The only token that is left in a row."""
    left = (row > -torch.inf).nonzero().flatten().tolist()
    assert len(left) == 1
    token: int = left[0]
    return token


def test_every_code_is_the_samplers(batch: Batch) -> None:
    """Songs begin, end and swap places; each is as if it were alone."""
    torch.manual_seed(1)
    rng = random.Random(2)
    waiting = [random_song(rng, number) for number in range(14)]
    active: list[Song] = []
    finished = 0
    while waiting or active:
        for song in [song for song in active if len(song.written) == song.order.count]:
            active.remove(song)
            finished += 1
            for half in song.halves:
                batch.leave(half)
        while waiting and sum(len(song.halves) for song in active) < SLOTS - 1:
            active.append(waiting.pop(0))
            active[-1].enter(batch)
            if rng.random() < 0.3:
                break
        if not active:
            break
        reading = {song.name for song in active if song.reads}
        logits = random_logits(active)
        left = batch.step({name: row.clone() for name, row in logits.items()}, reading)
        for song in active:
            if song.reads:
                song.reads -= 1  # the chosen token is discarded
                continue
            token = song.expected(logits)
            assert [only(left[half]) for half in song.halves] == [token] * len(song.halves)
            song.written.append(token)
    assert finished == 14


def test_metadata_keeps_to_the_grammars_mask(batch: Batch) -> None:
    """With its own noise, the same for a token, whatever else is legal."""
    torch.manual_seed(3)
    sampling = Sampling(seed=4, temperature=1.5)
    text = Song("text", RowOrder(Phase.METADATA, sampling, 30))
    song = Song("song", RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), 30, UNCOND))
    for each in (text, song):
        each.enter(batch)
    for step in range(30):
        logits = random_logits([text, song])
        legal = torch.randperm(FIRST_CODE)[: step + 1].sort().values
        legal = torch.unique(torch.cat([legal, torch.tensor([IM_END])])).to(DEVICE)
        masked = torch.full_like(logits["text"], -torch.inf)
        masked[legal] = logits["text"][legal]
        left = batch.step({**logits, "text": masked.clone()}, set())
        column = Sampler([sampling], DEVICE).choose(
            masked[legal].unsqueeze(0),
            step_keys(4, Phase.METADATA, [step]).to(DEVICE),
            tokens=legal,
        )
        token = only(left["text"])
        assert token == int(legal[column])
        text.written.append(token)
        song.written.append(only(left["song"]))


def test_lyrics_are_text_or_end_the_text(batch: Batch) -> None:
    """Beside a guided song, and as the sampler chooses among the tokens that ``pt`` allows."""
    torch.manual_seed(11)
    allowed = _LYRICS_TOKENS.to(DEVICE)
    texts = [
        Song(f"text-{number}", RowOrder(Phase.LYRICS, sampling, 40))
        for number, sampling in enumerate((Sampling(4, 0.0), Sampling(5, 1.5, top_p=0.9)))
    ]
    song = Song("song", RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), 30, UNCOND))
    for each in (*texts, song):
        each.enter(batch)
    for step in range(12):
        logits = {name: row - 20 for name, row in random_logits([*texts, song]).items()}
        for text in texts:
            logits[text.name][[IM_START, THINK, VOCABULARY - 1]] = 50.0
            if step > 8:
                logits[text.name][STOP_IDS[step % 2]] = 40.0
        left = batch.step({name: row.clone() for name, row in logits.items()}, set())
        for text in texts:
            column = Sampler([text.order.sampling], DEVICE).choose(
                logits[text.name][allowed].unsqueeze(0),
                step_keys(text.order.sampling.seed, Phase.LYRICS, [step]).to(DEVICE),
                tokens=allowed,
            )
            token = only(left[text.name])
            assert token == int(allowed[column])
            assert step <= 8 or token in STOP_IDS
            text.written.append(token)
        song.written.append(only(left["song"]))


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, -torch.inf])
def test_broken_weights_write_codes_all_the_same(batch: Batch, poison: float) -> None:
    song = Song("song", RowOrder(Phase.CODES, Sampling(cfg_scale=2.0, top_p=0.9), 30, UNCOND))
    song.enter(batch)
    broken = torch.full((VOCABULARY,), poison, device=DEVICE)
    left = batch.step({half: broken.clone() for half in song.halves}, set())
    tokens = {only(left[half]) for half in song.halves}
    assert len(tokens) == 1
    assert FIRST_CODE <= tokens.pop() < FIRST_CODE + CODES


@pytest.mark.parametrize("half", ["song", "song#"])
def test_a_half_without_its_other_does_no_harm(batch: Batch, half: str) -> None:
    """The scheduler fails such a pair; until then the engine must continue to work."""
    torch.manual_seed(5)
    song = Song("song", RowOrder(Phase.CODES, Sampling(cfg_scale=2.0), 30, UNCOND))
    other = Song("other", RowOrder(Phase.CODES, Sampling(seed=6), 30))
    song.enter(batch)
    other.enter(batch)
    for _ in range(3):
        logits = random_logits([song, other])
        left = batch.step({name: row.clone() for name, row in logits.items()}, set())
        assert only(left["other"]) == other.expected(logits)
        other.written.append(only(left["other"]))
        song.written.append(0)
        if half in left and len(left) == 3:
            batch.leave(half)


def test_vllms_own_rows_are_left_as_they_are(batch: Batch) -> None:
    """On a GPU it warms up with rows that have no order, some in places that songs had before."""
    torch.manual_seed(9)
    songs = [Song(f"song-{n}", RowOrder(Phase.CODES, Sampling(), 9)) for n in range(2)]
    for song in songs:
        song.enter(batch)
    batch.step(random_logits(songs), set())
    batch.leave("song-0")
    batch.enter("warm-up", SamplingParams(temperature=0.0, max_tokens=2), [])
    logits = random_logits(songs[1:]) | {"warm-up": torch.randn(VOCABULARY, device=DEVICE)}
    left = batch.step({name: row.clone() for name, row in logits.items()}, set())
    assert torch.equal(left["warm-up"], logits["warm-up"])
    assert only(left["song-1"]) == songs[1].expected(logits)


def test_what_a_row_has_written_is_not_held_against_the_next(batch: Batch) -> None:
    """Places in the batch, and slots, are used again."""
    torch.manual_seed(7)
    sampling = Sampling(temperature=0.0, repetition_penalty=2.0)
    for number in range(SLOTS + 2):
        song = Song(f"song-{number}", RowOrder(Phase.CODES, sampling, 4))
        song.enter(batch)
        for _ in range(4):
            logits = random_logits([song])
            left = batch.step({song.name: logits[song.name].clone()}, set())
            song.written.append(only(left[song.name]))
            assert song.written[-1] == song.expected(logits)
        assert len(set(song.written)) > 1
        batch.leave(song.name)


def test_a_row_that_comes_back_is_still_penalised(vllm_config: VllmConfig) -> None:
    """Runner V1 takes a row out of its batch while it is not scheduled."""
    torch.manual_seed(8)
    batch = V1Batch(vllm_config, random.Random(0))
    song = Song("song", RowOrder(Phase.CODES, Sampling(0, 0.0, repetition_penalty=2.0), 30))
    logits = random_logits([song])
    song.enter(batch)
    for _ in range(10):
        left = batch.step({"song": logits["song"].clone()}, set())
        assert only(left["song"]) == song.expected(logits)
        song.written.append(only(left["song"]))
        batch.leave("song")
        song.enter(batch)


def test_a_sampler_lasts_as_long_as_the_batch_does(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made from the rows' settings; copying those to a GPU in each step would be slow."""
    made = []

    class Counted(Sampler):
        def __init__(self, *args: object) -> None:
            made.append(args)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "Sampler", Counted)
    songs = [Song(f"{seed}", RowOrder(Phase.CODES, Sampling(seed), 30)) for seed in range(3)]
    for song in songs:
        song.enter(batch)
    for steps in (10, 20):
        while len(songs[1].written) < steps:
            logits = random_logits(songs)
            left = batch.step({name: row.clone() for name, row in logits.items()}, set())
            for song in songs:
                assert only(left[song.name]) == song.expected(logits)
                song.written.append(only(left[song.name]))
        assert len(made) == steps // 10
        batch.leave(songs.pop(0).name)


def test_a_smaller_vocabulary_is_refused_at_the_start(
    vllm_config: VllmConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(vllm_config.model_config), "get_vocab_size", lambda self: 151_936)
    with pytest.raises(ValueError, match=r"has 151936 tokens; a 5Hz LM has 217204\."):
        PlanProcessor(vllm_config, DEVICE, False)
