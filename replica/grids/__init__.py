"""Grids of controls: what is asked, the work, and the labelled results."""
