"""Money, identities, times and errors: imported by every room, imports none of ours."""
