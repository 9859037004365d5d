"""Model checkpoints of the decoder: finding, loading, converting, and making tiny ones.

Only this part of the package reads weights. torch, diffusers, transformers and safetensors are
optional installs, so they are imported here and in the diffusers engine, and nowhere else.
"""
