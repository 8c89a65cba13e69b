"""The commands of `energy`, one module or package each."""
