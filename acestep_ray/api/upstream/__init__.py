"""Upstream's HTTP API (POST /release_task and its relatives) over the jobs of this service."""
