"""The services of `paceline up`, how they are started, and how they report."""
