"""Large batches of images: their rows, their input files, and who works on what."""
