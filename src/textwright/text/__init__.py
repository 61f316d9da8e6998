"""Text from files, as documents."""
