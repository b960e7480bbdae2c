"""How an expression becomes numbers, each with a bound on its error."""
