"""Routes for trades and orders."""
