#!/bin/bash
set -euo pipefail
rm /etc/redis/redis.conf
