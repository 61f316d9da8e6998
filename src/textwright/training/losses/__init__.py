"""What can be learned; one file each, one table."""
