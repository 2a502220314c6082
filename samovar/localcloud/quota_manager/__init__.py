"""The package yandex.cloud.quotamanager.v1: the quotas of the cloud."""
