"""What every station shares: errors, configs, files, journal, seeds, device, progress. Knows no text and no model."""
