"""Model checkpoints of the decoder: finding, loading, converting, and making tiny ones.

The only place in the package that reads weights. torch, diffusers, transformers and safetensors
are optional installs, so they are imported here and by the diffusers engine, and nowhere else.
"""
