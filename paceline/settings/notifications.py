"""Mail."""

from dataclasses import dataclass

from paceline.settings.fields import setting, text, url
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class NotificationSettings(LocalSettings):
    resend_url: str = setting(
        "", url("http", "https"), "Resend API for mail; empty means the sandbox mailbox"
    )
    resend_api_key: str = setting("", text, "Key for Resend; the sandbox mailbox accepts any")
    mail_from: str = setting("Paceline <login@paceline.example>", text, "Sender of mail")

    @property
    def mail_api_url(self) -> str:
        return self.resend_url or f"http://127.0.0.1:{self.mailbox_port}"
