"""From bytes to rows: one thread at the encoder, and what watches it."""
