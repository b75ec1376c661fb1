"""The demo."""

from dataclasses import dataclass

from paceline.settings.fields import between, setting


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    demo_traders: int = setting("20", between(0, 500), "Simulated traders in the demo; 0 for none")
