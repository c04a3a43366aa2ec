"""Which sources match a query best, over all parts of the encoder."""
