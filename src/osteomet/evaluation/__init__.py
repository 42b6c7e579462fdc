"""Evaluation: what predictions are worth, by declared rules, with intervals."""
