"""Models and training on disk: written whole or not at all, read without trusting what is there."""
