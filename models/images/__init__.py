"""From bytes to pixels: what is decoded, and how it is prepared."""
