"""Answers over HTTP and in the terminal; the only package that reads settings."""
