"""Decisions about members and how they sign in."""
