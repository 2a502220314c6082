#!/bin/sh
# Has what the agent rendered tried by the programs that read it.
set -eu
promtool check config /etc/prometheus/prometheus.yml
amtool check-config /etc/prometheus/alertmanager.yml
