"""How well methods rank true sources, with intervals; never imported by the serving path."""
