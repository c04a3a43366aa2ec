"""Content credentials (C2PA) of an image: what its maker says, read and set beside what is held.

A statement by whoever has signed it, not a measurement: no decision, share or p-value knows of it.
"""
