"""The terminal's way in: one file a command, the same parts that the service runs on."""

from __future__ import annotations

from models.processor import size_pools_to_come

size_pools_to_come()  # before anything is imported that has one
