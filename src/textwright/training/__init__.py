"""The one training loop: what a step is, how weights move, and the run it leaves behind."""
