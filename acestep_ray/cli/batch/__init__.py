"""The command ``acestep-ray batch``: many songs, each made once, over any interruption."""
