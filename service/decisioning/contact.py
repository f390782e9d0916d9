"""Contact policies: how often, how soon again and at what hours a customer may be addressed."""
