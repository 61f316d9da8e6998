"""What text-generation programs promise, a file each; ``benchmarks/promises.py`` runs them side by side."""
