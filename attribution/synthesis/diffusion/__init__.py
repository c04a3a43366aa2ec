"""A text-to-image model tuned to a few pictures, and asked for more; extra `generation`."""
