"""Where a decision's microseconds go, by stage."""
