"""Saddle points, curves of them, and thresholds."""
