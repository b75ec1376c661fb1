"""A mailbox for the demo. It implements Resend's API and shows the sent mails on a page."""
