"""An independent oracle: the rules of the engine told once more, slowly and in plain Python, to compare with it."""
