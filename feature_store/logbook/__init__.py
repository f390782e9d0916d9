"""The log as files: decisions, what they offered and what came of it, as Parquet by day and hour."""
