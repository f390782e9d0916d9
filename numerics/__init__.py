"""What is computed in machine code."""
