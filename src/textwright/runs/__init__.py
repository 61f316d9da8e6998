"""The run folder of whatever trains: config, journal, samples, fingerprint, checkpoints, status, display, report."""
