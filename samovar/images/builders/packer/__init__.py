"""The Packer builder bakes images on machines of a cloud, by Packer and its yandex plugin."""
