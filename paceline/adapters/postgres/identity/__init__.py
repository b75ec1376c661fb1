"""Members, sign-in links and sessions."""
