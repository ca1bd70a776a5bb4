"""The Grafana dashboard of raydet's metrics, and of those of Ray's that matter to a training."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RUNS = '{run=~"$run"}'
COLUMNS = 2
HEIGHT = 8


class Panel(NamedTuple):
    """A curve for each series of an expression.

    Args:
        title: above it.
        expression: in PromQL.
        legend: of a series, from its labels.
        unit: as Grafana calls it.
    """

    title: str
    expression: str
    legend: str
    unit: str = "short"


ROWS = {
    "Runs": [
        Panel("Iterations", f"max by (run) (ray_raydet_iter{RUNS})", "{{run}}"),
        Panel("Samples per second", f"sum by (run) (ray_raydet_samples_per_s{RUNS})", "{{run}}"),
        Panel("Time spent waiting for data", f"ray_raydet_data_wait{RUNS}", "{{run}} rank {{rank}}", "percentunit"),
        Panel("GPU busy", f"ray_raydet_gpu{RUNS}", "{{run}} rank {{rank}}", "percentunit"),
        Panel("GPU memory of tensors", f"ray_raydet_gpu_memory{RUNS}", "{{run}} rank {{rank}}", "bytes"),
        Panel("CPUs in use by workers", f"ray_raydet_cpu{RUNS}", "{{run}} rank {{rank}}"),
        Panel("Batches in flight", f"sum by (run) (ray_raydet_bytes_in_flight{RUNS})", "{{run}}", "bytes"),
        Panel("Restarts after lost workers", f"max by (run) (ray_raydet_restarts_total{RUNS})", "{{run}}"),
        Panel("Iterations done twice", f"max by (run) (ray_raydet_lost_iterations_total{RUNS})", "{{run}}"),
    ],
    "Cluster": [
        Panel("Nodes", "sum by (NodeType) (autoscaler_active_nodes)", "{{NodeType}}"),
        Panel("Nodes to come", "sum by (NodeType) (autoscaler_pending_nodes)", "{{NodeType}}"),
        Panel("CPU use of nodes", "ray_node_cpu_utilization", "{{instance}}", "percent"),
        Panel("Memory of nodes", "ray_node_mem_used / ray_node_mem_total", "{{instance}}", "percentunit"),
        Panel("GPU use of nodes", "ray_node_gpus_utilization", "{{instance}} {{GpuIndex}}", "percent"),
        Panel("Object store", "sum by (instance) (ray_object_store_memory)", "{{instance}}", "bytes"),
        Panel(
            "Disk of nodes",
            "ray_node_disk_usage / (ray_node_disk_usage + ray_node_disk_free)",
            "{{instance}}",
            "percentunit",
        ),
        Panel("Network, received", "ray_node_network_receive_speed", "{{instance}}", "Bps"),
    ],
}


def dashboard() -> str:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(_place({"type": "row", "title": title, "collapsed": False, "panels": []}, top, 0, 24, 1, panels))
        for number, panel in enumerate(row):
            line, column = divmod(number, COLUMNS)
            width = 24 // COLUMNS
            panels.append(_place(_graph(panel), top + 1 + line * HEIGHT, column * width, width, HEIGHT, panels))
        top += 1 + -(-len(row) // COLUMNS) * HEIGHT
    document = {
        "uid": "raydet",
        "title": "raydet",
        "tags": ["raydet", "ray"],
        "schemaVersion": 39,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source_variable(), _run_variable()]},
        "panels": panels,
    }
    return json.dumps(document, indent=1) + "\n"


def _place(panel: dict[str, Any], y: int, x: int, width: int, height: int, others: list[Any]) -> dict[str, Any]:
    return {"id": len(others) + 1, **panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _graph(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": panel.expression, "legendFormat": panel.legend}],
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _run_variable() -> dict[str, Any]:
    return {
        "name": "run",
        "type": "query",
        "label": "Run",
        "datasource": SOURCE,
        "query": "label_values(ray_raydet_iter, run)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
