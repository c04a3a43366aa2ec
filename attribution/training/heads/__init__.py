"""Heads fitted or trained on descriptors of a frozen network."""
