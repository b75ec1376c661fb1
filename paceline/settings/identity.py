"""Sessions and sign-in."""

from dataclasses import dataclass

from paceline.core.secret import Secret
from paceline.settings.fields import between, secret, setting


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    jwt_secret: Secret = secret("Secret that signs sessions, at least 32 characters; generated if empty")
    session_days: int = setting("7", between(1, 365), "Lifetime of a session in days")
    magic_link_minutes: int = setting("10", between(1, 60), "Lifetime of a magic link in minutes")
    sign_in_rate_per_minute: int = setting(
        "60", between(1, 10_000), "Sign-in requests of each kind that a network address may send per minute"
    )
