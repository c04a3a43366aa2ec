"""Backbones that others have published: names, files, layouts."""
