"""For operators: markets, halts, money in and out."""
