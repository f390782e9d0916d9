"""A population with known truth against the live service: what learning is worth, by days in minutes."""
