"""Delivery of alerts to people: Prometheus Alertmanager, and signed webhooks."""
