"""Keys and values of all tokens that were read and written so far, in one buffer made once."""

from typing import Self

from torch import Tensor
from transformers import Qwen3ForCausalLM


class KeyValues:
    """What transformers' models call a cache: each layer passes its new keys and values to it.

    Their place is set before a forward pass: ``row`` and ``column``, or ``static_column``.
    """

    def __init__(self, layers: list[tuple[Tensor, Tensor]]) -> None:
        self._layers = layers
        self.row: int | None = None  # the row whose prompt is read, by itself; None: every row
        self.column = 0
        # [1] int64 on the device. If set, the whole buffers are used: always the same memory.
        self.static_column: Tensor | None = None

    @classmethod
    def allocate(cls, model: Qwen3ForCausalLM, rows: int, columns: int) -> Self:
        """Zeros, two [rows, pairs, columns, D] per layer, on the model's device."""
        config = model.config
        shape = (rows, config.num_key_value_heads, columns, config.head_dim)
        weight = model.lm_head.weight
        return cls([(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in model.model.layers])

    def part(self, rows: int, columns: int) -> Self:
        """The same memory in another shape, of at most as many rows times columns."""
        return type(self)(
            [
                (_part(keys, rows, columns), _part(values, rows, columns))
                for keys, values in self._layers
            ]
        )

    def copy_row(self, source: int, row: int, columns: slice) -> None:
        """Give a row the keys and values that another one has in these columns."""
        for layer in self._layers:
            for numbers in layer:
                numbers[row, :, columns] = numbers[source, :, columns]

    def update(
        self, key: Tensor, value: Tensor, layer: int, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Store new keys and values [R, pairs, n, D]; return all that queries may attend to."""
        keys, values = self._layers[layer]
        if self.static_column is not None:
            keys.index_copy_(2, self.static_column, key)
            values.index_copy_(2, self.static_column, value)
            return keys, values
        end = self.column + key.shape[2]
        rows = slice(None) if self.row is None else slice(self.row, self.row + 1)
        keys[rows, :, self.column : end] = key
        values[rows, :, self.column : end] = value
        if self.row is not None:
            return key, value
        return keys[:, :, :end], values[:, :, :end]


def _part(numbers: Tensor, rows: int, columns: int) -> Tensor:
    _, pairs, _, width = numbers.shape
    count = rows * pairs * columns * width
    return numbers.view(-1)[:count].view(rows, pairs, columns, width)


def forward(
    model: Qwen3ForCausalLM, tokens: Tensor, positions: Tensor, mask: Tensor | None, kv: KeyValues
) -> Tensor:
    """The hidden state of the last token, [R, hidden size]. Tokens and positions: [R, n]. ``mask``:
    [R, 1, n, columns] bool, or None: see attention.grouped_attention."""
    found = model.model(
        input_ids=tokens,
        attention_mask={"full_attention": mask},
        position_ids=positions,
        past_key_values=kv,
        use_cache=True,
    )
    hidden: Tensor = found.last_hidden_state[:, -1]
    return hidden
