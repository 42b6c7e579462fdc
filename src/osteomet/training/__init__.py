"""Training: recipes, the samples they draw, and the loop that fits a network."""
