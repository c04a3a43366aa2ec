"""Queries whose sources are known, put to the ranking that serves: what calibration is fitted on.

For `attribution calibrate`; the serving path never imports it, for it makes synthetic images.
"""
