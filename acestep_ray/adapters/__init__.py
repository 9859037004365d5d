"""Adapters (LoRA, LoKr): where their files are, what they hold, and copies of them on this node."""
