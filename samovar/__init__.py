"""Samovar bakes images, rolls out self-healing instance groups on Yandex Cloud, and embeds a local cloud."""
