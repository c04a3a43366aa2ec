"""Large batches of images: how they arrive, are worked on and are read."""
