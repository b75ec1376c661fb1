"""A notifier that keeps its mails in memory."""

from paceline.core.errors import PermanentError, UpstreamError
from paceline.ports.notifications import Mail


class FakeNotifier:
    """Every `send` raises `failure` if it is set."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.failure: UpstreamError | None = None

    def send(self, mail: Mail) -> str:
        if self.failure is not None:
            raise self.failure
        if "@" not in mail.to:
            raise PermanentError("This is no address.")
        for number, known in enumerate(self.mails):
            if known.key == mail.key:
                return f"mail-{number}"
        self.mails.append(mail)
        return f"mail-{len(self.mails) - 1}"
