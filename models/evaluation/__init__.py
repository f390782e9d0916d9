"""Off-policy evaluation and uplift: what would have come of choices that were not made."""
