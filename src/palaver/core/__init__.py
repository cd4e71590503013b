"""Values, protocols and errors that every layer shares; knows nothing of the rest."""
