"""What came of it all: reports from the log."""
