// Package monitoring writes what a Prometheus, an Alertmanager and a Grafana need to watch a
// fleet: scrape configuration, recording rules, alerts with their tests, routing and one
// dashboard.
//
// It decides by names alone: those that a relay counts under, and those of [Series] that
// 'fleetctl serve' counts under. It reads no fleet, and it dials nobody.
package monitoring
