"""Codes of a real vLLM, in an engine that is too small for its jobs, equal those of ``pt``.

The engine runs in this process and the test runs each of its steps, so that every state can be
reached and read. (As a service it has its own processes: test_engine.)
"""

import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from vllm.engine.arg_utils import EngineArgs
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.request import RequestStatus

from acestep_ray.planner.sampling import Phase, Sampling
from acestep_ray.planner.tokens import FIRST_CODE, IM_END, VOCABULARY
from acestep_ray.planner.transformers.language_model import LanguageModel
from acestep_ray.planner.transformers.phases import write_codes
from acestep_ray.planner.vllm.environment import vllm_environment
from acestep_ray.planner.vllm.params import sampling_params
from acestep_ray.planner.vllm.row_order import KEY, RowOrder
from acestep_ray.planner.vllm.scheduler import PairScheduler
from acestep_ray.planner.vllm.tokenizer_folder import text_tokenizer

SLOTS, TOKENS, BLOCKS, BLOCK = 5, 300, 32, 32
NEGATIVE = tuple(range(2000, 2040))
METADATA = r"bpm: [0-9]{2,3}\nkeyscale: [A-G] (major|minor)\n"


@dataclass
class Song:
    """A request, when it begins and ends, and its result."""

    name: str
    prompt: list[int]
    order: RowOrder
    at: int = 0
    abort_in: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)
    cached: int = 0
    reason: str | None = None
    states: set[str] = field(default_factory=set)


class SteppedEngine:
    """A vLLM engine in this process."""

    def __init__(self, engine: LLMEngine) -> None:
        self.engine = engine
        self.scheduler: PairScheduler = engine.engine_core.engine_core.scheduler  # type: ignore[attr-defined]

    def run(self, songs: list[Song]) -> None:
        """Run all songs to their ends; then nothing of them may be left."""
        waiting = sorted(songs, key=lambda song: song.at)
        by_name = {song.name: song for song in songs}
        step = 0
        while waiting or self.engine.has_unfinished_requests():
            while waiting and waiting[0].at <= step:
                self.add(waiting.pop(0))
            for output in self.engine.step():
                assert isinstance(output, RequestOutput)
                song = by_name[output.request_id]
                song.tokens += output.outputs[0].token_ids
                song.cached = max(song.cached, output.num_cached_tokens or 0)
                song.reason = output.outputs[0].finish_reason
            for song in songs:
                self._look_at(song)
            step += 1
            assert step < 2000
        while self.scheduler.has_requests():  # the worker is informed of the last ones' end
            self.engine.step()
        self.check_nothing_left()

    def add(self, song: Song) -> None:
        grammar = StructuredOutputsParams(regex=METADATA)
        params = sampling_params(
            song.order, grammar if song.order.phase is Phase.METADATA else None
        )
        for name, value in song.params.items():
            setattr(params, name, value)
        self.engine.add_request(song.name, tokens_input(song.prompt), params)

    def check_nothing_left(self) -> None:
        scheduler = self.scheduler
        assert not scheduler.requests
        assert not scheduler.running
        assert not scheduler.waiting
        assert not scheduler._shadow_of
        assert not scheduler._owner_of
        assert scheduler.kv_cache_manager.block_pool.get_num_free_blocks() == BLOCKS - 1

    def _look_at(self, song: Song) -> None:
        """Note the state of a song, and abort the song if that is planned for the state."""
        for request in list(self.scheduler.requests.values()):
            if request.request_id.startswith(f"{song.name}-") and "#" not in request.request_id:
                state = "decode" if song.tokens else "prefill"
                if request.status is RequestStatus.WAITING:
                    state = "waiting"
                song.states.add(state)
                if state == song.abort_in:
                    self.engine.abort_request([song.name])
                    song.reason = f"aborted in {state}"


@pytest.fixture(scope="module")
def engine(lm: LanguageModel, folder: Path) -> Iterator[SteppedEngine]:
    with vllm_environment(), text_tokenizer(lm.tokenizer) as tokenizer:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        arguments: dict[str, Any] = {
            "model": str(folder),
            "tokenizer": str(tokenizer),
            "dtype": "float32",
            "enforce_eager": True,
            "max_model_len": 900,
            "max_num_seqs": SLOTS,
            "max_num_batched_tokens": TOKENS,
            "kv_cache_memory_bytes": 2**26,
            "num_gpu_blocks_override": BLOCKS,
            "block_size": BLOCK,
            "structured_outputs_config": {"backend": "guidance"},
            "generation_config": "vllm",
            "disable_log_stats": True,
            "logits_processors": ["acestep_ray.planner.vllm.processor:PlanProcessor"],
            "scheduler_cls": "acestep_ray.planner.vllm.scheduler.PairScheduler",
        }
        engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
    yield SteppedEngine(engine)
    engine.engine_core.shutdown()


def songs(count: int, seed: int, **more: Any) -> list[Song]:
    """With guidance and without, greedy and sampled, with every filter; some begin alike."""
    rng = random.Random(seed)
    alike = [rng.randrange(150_000) for _ in range(130)]

    def prompt(length: int) -> list[int]:
        begun = rng.choice([0, 60, 130])
        return alike[:begun] + [rng.randrange(150_000) for _ in range(length)]

    found = []
    for number in range(count):
        guided = number % 3 < 2
        sampling = Sampling(
            seed=rng.randrange(2**32),
            temperature=[0.0, 0.7, 0.7, 1.3][number % 4],
            top_k=rng.choice([None, 20, 50]),
            top_p=rng.choice([None, 0.6, 0.9]),
            cfg_scale=rng.choice([1.3, 2.0, 6.0]) if guided else 1.0,
            repetition_penalty=rng.choice([1.0, 1.3]),
        )
        uncond = NEGATIVE[: rng.choice([5, 40, 40])] if guided else ()
        order = RowOrder(Phase.CODES, sampling, rng.randrange(5, 40), uncond)
        length = rng.choice([3, 40, 110] if guided else [3, 40, 500])
        found.append(Song(f"song{number}", prompt(length), order, at=2 * number, **more))
    return found


def metadata(name: str, at: int) -> Song:
    order = RowOrder(Phase.METADATA, Sampling(seed=at, temperature=1.5), 60)
    return Song(name, list(range(500, 620)), order, at)


@torch.inference_mode()
def codes_of_pt(lm: LanguageModel, song: Song) -> list[int]:
    prompts = [song.prompt, *([list(song.order.uncond)] if song.order.uncond else [])]
    rows = lm.rows(prompts, song.order.count)
    return write_codes(rows, song.order.count, [song.order.sampling])[0]


def codes(song: Song) -> list[int]:
    return [token - FIRST_CODE for token in song.tokens]


def test_codes_are_those_of_pt(engine: SteppedEngine, lm: LanguageModel) -> None:
    """Too many songs for the slots, prompts too long for a step, and others' metadata between."""
    writing = songs(24, seed=1)
    texts = [metadata(f"text{at}", at) for at in range(0, 48, 8)]
    engine.run([*writing, *texts])
    for song in writing:
        assert song.reason == "length"
        assert codes(song) == codes_of_pt(lm, song), song
    for text in texts:
        assert text.reason == "stop"
        assert text.tokens[-1] == IM_END
        assert re.fullmatch(METADATA, lm.tokenizer.decode(text.tokens[:-1]))
    # The engine was as full as intended, and the prefix cache was used.
    assert sum("waiting" in song.states for song in writing) > 10
    assert any("prefill" in song.states for song in writing)
    assert any(song.cached for song in writing if song.order.uncond)
    assert any(song.cached for song in writing if not song.order.uncond)


def test_guidance_penalty_and_filters_matter(lm: LanguageModel) -> None:
    """Otherwise the test above could not fail."""
    (song,) = songs(1, seed=2)
    song.prompt = list(range(40))
    plain = Sampling(seed=3, temperature=1.0)
    different = set()
    for sampling in (
        plain,
        replace(plain, seed=4),
        replace(plain, temperature=0.0),
        replace(plain, top_k=20),
        replace(plain, top_p=0.6),
        replace(plain, top_k=20, top_p=0.6),
        replace(plain, repetition_penalty=1.3),
        replace(plain, cfg_scale=2.0),
    ):
        uncond = NEGATIVE if sampling.guided else ()
        song.order = RowOrder(Phase.CODES, sampling, 40, uncond)
        different.add(tuple(codes_of_pt(lm, song)))
    assert len(different) == 8


def test_aborted_songs_leave_nothing_behind(engine: SteppedEngine, lm: LanguageModel) -> None:
    writing = songs(24, seed=5)
    for number, state in ((7, "waiting"), (9, "waiting"), (12, "waiting"), (3, "decode")):
        writing[number].abort_in = state
    writing[4].abort_in = "decode"
    for number in (5, 11):  # without guidance, and longer than a step
        writing[number].prompt = list(range(number, 700))
        writing[number].abort_in = "prefill"
    engine.run(writing)
    for song in writing:
        if song.abort_in:
            assert song.reason == f"aborted in {song.abort_in}", song
        expected = codes_of_pt(lm, song)
        assert codes(song) == expected[: len(song.tokens)], song
        assert song.abort_in or len(song.tokens) == song.order.count


def test_a_song_that_can_never_fit_is_refused_alone(
    engine: SteppedEngine, lm: LanguageModel
) -> None:
    writing = songs(6, seed=6)
    guided = Sampling(cfg_scale=2.0)
    too_large = [
        Song("blocks", [1] * 200, RowOrder(Phase.CODES, guided, 400, NEGATIVE), at=1),
        Song("tokens", [1] * 200, RowOrder(Phase.CODES, guided, 5, (1,) * 120), at=3),
        Song("context", [1] * 880, RowOrder(Phase.CODES, Sampling(), 50), at=5),
    ]
    engine.run([*writing, *too_large])
    assert [song.reason for song in too_large] == ["error"] * 3
    assert not any(song.tokens for song in too_large)
    for song in writing:
        assert codes(song) == codes_of_pt(lm, song), song


HOSTILE: tuple[dict[str, Any], ...] = (
    {"uncond": [VOCABULARY]},
    {"uncond": [-1]},
    {"uncond": []},
    {"uncond": "abc"},
    {"count": 0},
    {"count": 10**6},
    {"count": True},
    {"temperature": float("nan")},
    {"cfg_scale": float("inf")},
    {"top_k": -1},
    {"seed": 2**64 - 1},
    {"phase": "lyrics"},
    {"more": 1},
)


def test_hostile_requests_cost_nobody_else(engine: SteppedEngine, lm: LanguageModel) -> None:
    (song,) = songs(1, seed=7)
    order = song.order.to_extra_args()[KEY]
    hostile: list[Mapping[str, Any]] = [
        *({"extra_args": {KEY: order | fields}} for fields in HOSTILE),
        {"extra_args": None},
        {"extra_args": {KEY: order, "acestep_pair": "song0"}},
        {"allowed_token_ids": list(range(2000))},
        {"seed": 1, "temperature": 0.5},
        {"n": 3},
        {"logit_bias": {10**9: 1.0}},
        {"max_tokens": None},
        {"structured_outputs": StructuredOutputsParams(regex="x")},
    ]
    for number, params in enumerate(hostile):
        with pytest.raises(VLLMValidationError):
            engine.add(Song(f"hostile{number}", [1, 2], song.order, params=params))
    for prompt in ([], [VOCABULARY], [-1], [1] * 1024):
        with pytest.raises((VLLMValidationError, ValueError)):
            engine.add(Song("hostile", prompt, song.order))
    engine.check_nothing_left()
    engine.run([song])
    assert codes(song) == codes_of_pt(lm, song)
