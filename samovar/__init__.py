"""Samovar bakes images, rolls out self-healing instance groups on Yandex Cloud, and embeds a local cloud."""

__version__ = "0.1.0"
