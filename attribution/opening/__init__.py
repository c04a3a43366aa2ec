"""Opens what answers a query on a data folder: encoder, background, index, calibration."""
