"""A mailbox for the demo: it speaks Resend's API and shows on a page what was sent."""
