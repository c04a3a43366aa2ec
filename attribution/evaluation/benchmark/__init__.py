"""Queries whose sources are known: the formats they come in."""
