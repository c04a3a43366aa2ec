"""How high true sources rank, for encoders and baselines."""
