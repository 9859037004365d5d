"""The ``vllm`` engine: vLLM in processes of its own, with many plans and texts at once on
one GPU."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.engine.async_llm import AsyncLLM

from acestep_ray.errors import SettingError
from acestep_ray.planner.checkpoint import open_checkpoint
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.protocol import (
    Plan,
    PlannerDescription,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.tokens import LmTokenizer
from acestep_ray.planner.vllm.arguments import check_room, engine_arguments
from acestep_ray.planner.vllm.environment import vllm_environment
from acestep_ray.planner.vllm.planning import Planning
from acestep_ray.planner.vllm.requests import Requests
from acestep_ray.planner.vllm.tokenizer_folder import text_tokenizer
from acestep_ray.planner.vllm.version import check_version
from acestep_ray.planner.vllm.writing import TextWriter
from acestep_ray.settings import Settings


class VllmPlanner:
    """Implements PlannerEngine. Used by one event loop, from its first plan to its end."""

    def __init__(
        self, engine: AsyncLLM, tokenizer: LmTokenizer, model: str, settings: Settings
    ) -> None:
        self._requests = Requests(engine)
        self._planning = Planning(self._requests, tokenizer, model, settings)
        self._writer = TextWriter(self._requests, tokenizer, model, settings)
        self._warm_up: asyncio.Task[None] | None = None

    @classmethod
    def load(cls, settings: Settings, model: str = "", gpu_share: float = 1.0) -> Self:
        """Load ``model`` or, if it is empty, the language model of the settings. ``gpu_share``: the
        part of one GPU that it may use, 0 to 1.

        Blocks for half a minute or more. Raises CheckpointError, and SettingError for settings that
        cannot work on this machine.
        """
        check_version()
        checkpoint = open_checkpoint(find_lm(settings.checkpoints, model or settings.lm.model))
        with text_tokenizer(checkpoint.tokenizer) as text, vllm_environment():
            arguments = engine_arguments(checkpoint, text, settings.lm, gpu_share)
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        try:
            cache = engine.vllm_config.cache_config
            check_room(cache.num_gpu_blocks or 0, cache.block_size, settings.lm.context)
        except SettingError:
            engine.shutdown()
            raise
        return cls(engine, checkpoint.tokenizer, checkpoint.folder.name, settings)

    def describe(self) -> PlannerDescription:
        """Its one model has the checkpoint's name; a request need not name it."""
        return PlannerDescription(engine="vllm", models=(self._planning.model,), mock=False)

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan. Raises EngineDied too."""
        self._check_model(request.model)
        async with aclosing(self._planning.plan(request)) as events:
            async for event in events:
                yield event

    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See PlannerEngine.write. Raises EngineDied too."""
        self._check_model(request.model)
        async with aclosing(self._writer.write(request)) as events:
            async for event in events:
                yield event

    def _check_model(self, asked: str) -> None:
        if asked not in ("", self._planning.model):
            raise PlannerError(
                f"The LM {asked!r} is not deployed; there are: {self._planning.model}."
            )

    async def check(self) -> None:
        """Raise EngineDied if the engine can no longer plan. The first call warms it up."""
        self._requests.check()
        if self._warm_up is None:
            self._warm_up = asyncio.create_task(self._planning.warm_up())
        await asyncio.shield(self._warm_up)

    async def close(self) -> None:
        """End all plans (their readers get EngineDied), then vLLM's processes."""
        if self._warm_up is not None:
            self._warm_up.cancel()
        await self._requests.close()
