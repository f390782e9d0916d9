"""The customers of Telvara and how they respond: what the demo data is generated from."""
