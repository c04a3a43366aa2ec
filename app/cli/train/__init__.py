"""`attribution train`: an encoder from scratch or further, or a head alone."""
