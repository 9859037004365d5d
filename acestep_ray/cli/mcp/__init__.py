"""The command ``acestep-ray mcp``: a server of the Model Context Protocol, for assistants."""
