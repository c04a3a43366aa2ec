"""Measurements drawn as pictures."""
