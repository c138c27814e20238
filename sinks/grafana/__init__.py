"""Grafana: dashboards described once, made into its JSON, applied over HTTP or written for file provisioning."""
