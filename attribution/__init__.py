"""Vectors to answers: catalog, index, calibration and attribution. Knows no HTTP."""
