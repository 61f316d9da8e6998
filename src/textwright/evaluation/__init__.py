"""How good a model is, in figures that say what they mean."""
