"""Figures of results: theory is a line, an experiment is points with bars, a threshold is dotted.

Colours mean the same thing in every figure and are told apart by the colour-blind; line styles
and markers say it again, so that a figure printed in black and white can be read.
"""
