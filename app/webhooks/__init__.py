"""Telling addresses that the operator has listed what happened to sources, signed and again."""
