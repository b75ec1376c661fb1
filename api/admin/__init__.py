"""Routes for operators: markets, halts, deposits and withdrawals."""
