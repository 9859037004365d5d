"""An adapter's weights as diffusers and PEFT take them, whichever program wrote the file.

The layouts that are read: PEFT's (the trainers of ACE-Step write it), diffusers', those with
``lora_down`` and ``lora_up``, and LyCORIS' LoKr. They differ in the names of the model's layers,
and in where the factor of the weights (alpha by rank) is.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from diffusers import AceStepTransformer1DModel
from safetensors import SafetensorError, safe_open
from torch import nn

from acestep_ray.adapters.header import BadAdapter
from acestep_ray.adapters.library import LocalAdapter, lokr_settings
from acestep_ray.decoder.checkpoints.upstream import upstream_name
from acestep_ray.decoder.diffusers.device import ran_out_of_memory

T = TypeVar("T")

_PREFIXES = re.compile(
    r"^(base_model\.model\.|transformer\.|diffusion_model\.|model\.|decoder\.|lycoris_|lora_unet_)+"
)
_PARTS = re.compile(
    r"(?P<layer>.+?)\.(?P<part>lora_A|lora_B|lora_down|lora_up|lora_magnitude_vector|alpha|dora_scale"
    r"|scalar|lokr_w1|lokr_w1_a|lokr_w1_b|lokr_w2|lokr_w2_a|lokr_w2_b|lokr_t2)(?P<end>\.default)?"
    r"(\.weight)?"
)
_SAME = {"lora_down": "lora_A", "lora_up": "lora_B"}
_LORA = frozenset({"lora_A", "lora_B"})


@dataclass(frozen=True)
class AdapterWeights:
    """``tensors``: by PEFT's names below the transformer, on its device and in its number type.
    ``config``: of PEFT's LoraConfig; None: of a LoKr adapter, whose tensors say all."""

    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any] | None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def read_weights(adapter: LocalAdapter, transformer: AceStepTransformer1DModel) -> AdapterWeights:
    """Read an adapter for this model. Raises BadAdapter, which names the file and the key that does
    not fit."""
    reading = _Reading(adapter, transformer)
    try:
        return _read(adapter, reading)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if ran_out_of_memory(error):
            raise
        raise reading.refusal(f"has numbers that do not fit together ({error})") from error


def _read(adapter: LocalAdapter, reading: "_Reading") -> AdapterWeights:
    try:
        with safe_open(adapter.weights, framework="pt") as opened:
            keys = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            metadata = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise reading.refusal(f"cannot be read ({error})") from None
    layers = reading.layers(keys)
    first = next(iter(layers.values()))
    if any(part.startswith("lokr_") for part in first):
        return reading.lokr(layers, metadata)
    return reading.lora(layers, metadata)


class _Reading:
    """One file for one model."""

    def __init__(self, adapter: LocalAdapter, transformer: AceStepTransformer1DModel) -> None:
        self._adapter = adapter
        self._modules = dict(_linear_modules(transformer))
        self._names = {spelling: name for name in self._modules for spelling in _spellings(name)}
        self._device, self._dtype = transformer.device, transformer.dtype

    def refusal(self, why: str) -> BadAdapter:
        """The adapter cannot be used. ``why``: the rest of a sentence that begins with the file."""
        return BadAdapter(
            f"The adapter {self._adapter.name} cannot be used: {self._adapter.weights.name} {why}."
        )

    def layers(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
        """Tensors by diffusers' name of the layer and PEFT's of the part."""
        found: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            match = _PARTS.fullmatch(_PREFIXES.sub("", key))
            if match is None:
                raise self.refusal(f"has the key {key}, which is of no LoRA or LoKr adapter")
            name = self._names.get(match["layer"])
            if name is None:
                raise self.refusal(f"has the key {key}, for which the model has no layer")
            if match["part"] == "dora_scale":
                raise self.refusal(
                    f"has the key {key}: weight decomposition (DoRA) of this kind cannot be used"
                )
            part = _SAME.get(match["part"], match["part"])
            found.setdefault(name, {})[part] = tensor.float()
        if not found:
            raise self.refusal("holds no weights")
        return dict(sorted(found.items()))

    def lora(
        self, layers: Mapping[str, Mapping[str, torch.Tensor]], metadata: Mapping[str, str]
    ) -> AdapterWeights:
        """LoRA: two matrices per layer."""
        factors = _Factors(self._adapter.config or _diffusers_config(metadata))
        tensors: dict[str, torch.Tensor] = {}
        ranks, alphas = {}, {}
        decomposed = False
        for name, parts in layers.items():
            if lacking := _LORA - parts.keys():
                raise self.refusal(f"has no {min(lacking)} for the layer {name}")
            down, up = parts["lora_A"], parts["lora_B"]
            self._check(name, down, up)
            rank = down.shape[0]
            ranks[name] = rank
            alphas[name] = round(factors.of(name, rank, parts.get("alpha")) * rank, 9)
            for part, tensor in parts.items():
                if part == "alpha":
                    continue
                if part not in _LORA | {"lora_magnitude_vector"}:
                    raise self.refusal(f"has {part} for the layer {name}, beside a LoRA's matrices")
                decomposed |= part == "lora_magnitude_vector"
                tensors[f"{name}.{part}.weight"] = self._placed(tensor)
        # PEFT looks at every pattern for every layer, so patterns are for the exceptions.
        rank, alpha = _commonest(ranks.values()), _commonest(alphas.values())
        config = {
            "r": rank,
            "lora_alpha": alpha,
            "rank_pattern": {re.escape(n): r for n, r in ranks.items() if r != rank},
            "alpha_pattern": {re.escape(n): a for n, a in alphas.items() if a != alpha},
            "target_modules": list(layers),
            "use_dora": decomposed,
        }
        return AdapterWeights(tensors, config)

    def lokr(
        self, layers: Mapping[str, Mapping[str, torch.Tensor]], metadata: Mapping[str, str]
    ) -> AdapterWeights:
        """LoKr: the Kronecker product of two matrices, each of which may be a product of two."""
        made = lokr_settings(metadata)
        config = self._adapter.config
        if str(config.get("peft_type")).upper() != "LOKR":
            config = {}  # that of a LoRA in the same folder
        tensors: dict[str, torch.Tensor] = {}
        for name, parts in layers.items():
            left = {p: t for p, t in parts.items() if p.startswith("lokr_w1")}
            right = {p: t for p, t in parts.items() if p.startswith("lokr_w2")}
            for side, found in (("lokr_w1", left), ("lokr_w2", right)):
                if found.keys() not in ({side}, {f"{side}_a", f"{side}_b"}):
                    raise self.refusal(f"has no whole {side} for the layer {name}")
            if others := parts.keys() - left.keys() - right.keys() - {"alpha", "scalar"}:
                raise self.refusal(
                    f"has {min(others)} for the layer {name}, which is no linear one"
                )
            self._check_product(name, left, right)
            factor = _lokr_factor(name, parts, made, config)
            if "scalar" in parts:
                factor *= float(parts["scalar"])
            # PEFT has no factor for a layer, so it goes into one of the matrices.
            scaled = min(right)
            for part, tensor in (left | right).items():
                value = tensor * factor if part == scaled else tensor
                tensors[f"{name}.{part}"] = self._placed(value)
        return AdapterWeights(tensors, None)

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        # A copy: on the CPU it would otherwise be a part of the mapped file, which may be replaced.
        return tensor.to(self._device, self._dtype, copy=True).contiguous()

    def _check(self, name: str, down: torch.Tensor, up: torch.Tensor) -> None:
        layer = self._modules[name]
        fits = (
            down.ndim == up.ndim == 2
            and down.shape[0] == up.shape[1]
            and (up.shape[0], down.shape[1]) == (layer.out_features, layer.in_features)
        )
        if not fits:
            raise self.refusal(
                f"has matrices of {list(up.shape)} and {list(down.shape)} for the layer {name} of "
                f"[{layer.out_features}, {layer.in_features}]: it was made for another model"
            )

    def _check_product(
        self,
        name: str,
        left: Mapping[str, torch.Tensor],
        right: Mapping[str, torch.Tensor],
    ) -> None:
        layer = self._modules[name]
        (out_left, in_left), (out_right, in_right) = _shape(left), _shape(right)
        found = [out_left * out_right, in_left * in_right]
        if found != [layer.out_features, layer.in_features]:
            raise self.refusal(
                f"has a product of {found} for the layer {name} of "
                f"[{layer.out_features}, {layer.in_features}]: it was made for another model"
            )


@dataclass(frozen=True)
class _Factors:
    """By what the product of a LoRA's matrices is multiplied, as its config says."""

    config: Mapping[str, Any]

    def of(self, name: str, rank: int, stored: torch.Tensor | None) -> float:
        """Alpha by rank, of a layer. ``stored``: the alpha that is in the file, which comes
        first."""
        if stored is not None:
            return float(stored) / rank
        alpha = _of_layer(self.config, "alpha_pattern", name, self.config.get("lora_alpha"))
        if alpha is None:
            return 1.0
        return float(alpha) / (math.sqrt(rank) if self.config.get("use_rslora") else rank)


def _of_layer(config: Mapping[str, Any], patterns: str, name: str, usual: Any) -> Any:
    """A layer's own number in a config of PEFT, or the usual one."""
    for pattern, value in dict(config.get(patterns) or {}).items():
        if _names_layer(pattern, name):
            return value
    return usual


def _names_layer(pattern: str, name: str) -> bool:
    """Whether a pattern of PEFT means the layer, in diffusers' spelling or in ACE-Step's: the end
    of its name, or with ^ all of it. (``parse_config`` lets only names pass.)"""
    end = pattern.strip("^$").replace("\\", "")
    whole = pattern.startswith("^")
    return any(one == end or (not whole and one.endswith(f".{end}")) for one in _dotted(name))


def _commonest(values: Iterable[T]) -> T:
    return Counter(values).most_common(1)[0][0]


def _diffusers_config(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """What diffusers wrote into the header about a LoRA; empty: nothing."""
    try:
        found = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name).removeprefix("transformer."): value for name, value in found.items()}


def _lokr_factor(
    name: str,
    parts: Mapping[str, torch.Tensor],
    made: Mapping[str, Any],
    config: Mapping[str, Any],
) -> float:
    """By what the product is multiplied: alpha by rank; 1 if both matrices are whole.

    ``config``: of PEFT, which divides by the rank that it names. Newer releases of LyCORIS store
    for ``rs_lora`` an alpha that is divided by the rank, too; older ones one that is divided by the
    rank's root.
    """
    alpha = parts.get("alpha")
    ranks = [parts[part].shape[0] for part in ("lokr_w2_b", "lokr_w1_b") if part in parts]
    if config and alpha is None:
        usual = float(config.get("alpha") or 8), float(config.get("r") or 8)
        number = _of_layer(config, "alpha_pattern", name, usual[0])
        return float(number) / float(_of_layer(config, "rank_pattern", name, usual[1]))
    if not ranks:
        return 1.0
    rank, named = ranks[0], made.get("linear_alpha")
    number = float(alpha) if alpha is not None else float(named or rank)
    if not made.get("rs_lora"):
        return number / rank
    scaled = named is not None and math.isclose(
        number, float(named) * math.sqrt(rank), rel_tol=0.01
    )
    return number / (rank if scaled else math.sqrt(rank))


def _shape(side: Mapping[str, torch.Tensor]) -> tuple[int, int]:
    """Of the product, or of the whole matrix."""
    first, last = side[min(side)], side[max(side)]
    return first.shape[0], last.shape[-1]


def _linear_modules(transformer: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in transformer.named_modules():
        if isinstance(module, nn.Linear):
            yield name, module


def _dotted(name: str) -> tuple[str, str]:
    """A layer's name in diffusers, and in ACE-Step's own code."""
    upstream = upstream_name("transformer", f"{name}.weight")
    return name, upstream.removeprefix("decoder.").removesuffix(".weight")


def _spellings(name: str) -> Iterator[str]:
    for dotted in _dotted(name):
        yield dotted
        yield dotted.replace(".", "_")
