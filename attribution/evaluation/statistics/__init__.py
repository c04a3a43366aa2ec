"""Intervals, resampling and groups that measurements share."""
