"""Scalar building blocks, shared by formulas and experiments."""
