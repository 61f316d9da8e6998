"""What figures are worth: intervals, comparisons of two systems, and what can be said of them in words."""
