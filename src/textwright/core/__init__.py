"""What every station shares: errors, configs, files, journal, seeds, device, progress. Knows nothing of text or models."""
