"""What the rules conclude from observations: merge, rules, correlation, lifecycle."""
