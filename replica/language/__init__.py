"""What a formula is written in: pure sympy, no number is computed here."""
