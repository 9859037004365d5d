"""The diffusers engine: ACE-Step 1.5 with the modules of diffusers' ``AceStepPipeline``.

torch, diffusers and torchaudio are optional installs: only this package and ``checkpoints`` import
them.
"""
