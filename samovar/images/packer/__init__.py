"""Images by Packer and its yandex plugin, on whichever cloud."""
