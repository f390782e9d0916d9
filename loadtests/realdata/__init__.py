"""How well the training pipeline does on public data, beside what others have published of it."""
