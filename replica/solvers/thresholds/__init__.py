"""Thresholds as square systems, one file for each kind."""
