"""Requests to a running vLLM: they send token ids, and receive new token ids while it writes."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from uuid import uuid4

from vllm.inputs.engine import tokens_input
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from acestep_ray.planner.protocol import EngineDied
from acestep_ray.planner.vllm.params import sampling_params
from acestep_ray.planner.vllm.row_order import RowOrder

logger = logging.getLogger(__name__)
_CLOSE_SECONDS = 10.0
HANG_SECONDS = 300.0
"""An engine with requests that writes nothing for so many seconds counts as hanging. A long prompt
on a CPU may take minutes."""


class Requests:
    """All requests of one engine, from one event loop."""

    def __init__(self, engine: AsyncLLM) -> None:
        self._engine = engine
        self._open: set[str] = set()
        self._last_token_at = 0.0  # time of the last token, while there are requests
        self._closing = False

    async def write(
        self, prompt: Sequence[int], order: RowOrder, grammar: str | None = None
    ) -> AsyncGenerator[list[int], None]:
        """The tokens that are written after ``prompt``, a few at a time; ``grammar``: in Lark, or
        None.

        Closing the iterator ends the request in vLLM. Raises EngineDied.
        """
        if self._closing:
            raise EngineDied("The planner's engine is closing.")
        rules = None if grammar is None else StructuredOutputsParams(grammar=grammar)
        request_id = uuid4().hex
        if not self._open:
            self._last_token_at = time.monotonic()
        self._open.add(request_id)
        try:
            stream = self._engine.generate(
                tokens_input(list(prompt)), sampling_params(order, rules), request_id
            )
            async with aclosing(stream) as outputs:
                async for output in outputs:
                    self._last_token_at = time.monotonic()
                    (completion,) = output.outputs
                    if completion.finish_reason == "abort":
                        raise EngineDied("The planner's engine is closing.")
                    if completion.finish_reason == "error":
                        raise RuntimeError("vLLM failed a request; its log says why.")
                    yield list(completion.token_ids)
        except (EngineDeadError, EngineGenerateError) as error:
            if self._closing or self._engine.errored:
                raise EngineDied("The planner's engine has died.") from error
            raise
        finally:
            self._open.discard(request_id)

    def check(self) -> None:
        """Raise EngineDied if nothing can be written any more."""
        if self._closing or self._engine.errored:
            raise EngineDied("The planner's engine has died.")
        if self._open and time.monotonic() - self._last_token_at > HANG_SECONDS:
            raise EngineDied(f"The planner's engine has written nothing for {HANG_SECONDS:g} s.")

    async def close(self) -> None:
        """End every request, wait until their readers have noticed, then end vLLM's processes.

        A reader that still waited when the processes end would wait for ever.
        """
        if self._closing:
            return
        self._closing = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._open and not self._engine.errored:
                    await self._engine.abort(list(self._open))
                    await asyncio.sleep(0.05)  # let their readers run; some may only be starting
        except TimeoutError:
            logger.warning("%d plans are left unread while the planner closes", len(self._open))
        if self._engine.output_handler is not None:
            self._engine.output_handler.cancel()  # otherwise it logs the end as a failure
        await asyncio.to_thread(self._engine.shutdown)
        del self._engine  # its __del__ fails while Python ends
