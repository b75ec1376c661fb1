"""Mail."""

from dataclasses import dataclass

from paceline.core.secret import Secret
from paceline.settings.fields import plain_url, secret, setting, text
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class NotificationSettings(LocalSettings):
    resend_url: str = plain_url("http", "https", doc="Resend API for mail; empty means the sandbox mailbox")
    resend_api_key: Secret = secret("Key for Resend; the sandbox mailbox accepts any")
    mail_from: str = setting("Paceline <login@paceline.example>", text, "Sender of mail")

    @property
    def mail_api_url(self) -> str:
        return self.resend_url or f"http://127.0.0.1:{self.mailbox_port}"
