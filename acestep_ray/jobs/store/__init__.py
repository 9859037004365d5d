"""Durable job stores: one Protocol, one contract test suite, an implementation a database."""
