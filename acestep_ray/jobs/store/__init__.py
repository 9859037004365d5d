"""Durable job stores: one Protocol, one contract test suite, one implementation per database."""
