"""The sections of the page, each from what one module has found."""
