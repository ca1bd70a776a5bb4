"""Dashboards, Prometheus and containers: what they name is there, pinned, and not open to the outside."""

import json
import re
from pathlib import Path

from raydet.config import shipped_root
from raydet.distributed.clusters.pools import RAY_VERSION
from raydet.distributed.clusters.text import read_yaml

CLUSTERS = shipped_root("clusters")


def test_dashboard_shows_metrics_that_raydet_and_ray_have():
    import ray

    from raydet.distributed import gauges

    board = json.loads((CLUSTERS / "monitoring" / "raydet-dashboard.json").read_text())
    texts = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    names = {name for text in texts for name in re.findall(r"\b(?:ray|autoscaler)_\w+", text)}
    ours = {name for name in names if name.startswith("ray_raydet_")}
    known = {f"ray_raydet_{name}" for name in gauges.GAUGES}
    known |= {f"ray_{name}_total" for name in re.findall(r'Counter\("(\w+)"', Path(gauges.__file__).read_text())}
    assert ours == known
    dashboards = Path(ray.__file__).parent / "dashboard" / "modules" / "metrics" / "dashboards"
    shipped = "\n".join(path.read_text() for path in dashboards.glob("*.py"))
    assert [name for name in sorted(names - ours) if name not in shipped] == []


def test_panels_of_the_dashboard_do_not_overlap():
    board = json.loads((CLUSTERS / "monitoring" / "raydet-dashboard.json").read_text())
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_monitoring_listens_on_loopback_with_pinned_images_and_files_that_are_there():
    folder = CLUSTERS / "monitoring"
    services = read_yaml(folder / "compose.yaml")["services"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    for service in services.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
        assert all((folder / name).is_file() for name in mounted)
    assert read_yaml(folder / "prometheus.yaml")["scrape_configs"][0]["job_name"] == "ray"


def test_containers_run_as_a_user_with_pinned_versions():
    lines = (CLUSTERS / "docker" / "Dockerfile").read_text().splitlines()
    images = [line.partition("=")[2] for line in lines if re.match(r"ARG \w+_IMAGE=", line)]
    assert images
    assert all(re.search(r":\d+\.\d+\.\d+", image) for image in images)
    assert "USER 1000" in lines
    assert {line.split()[-1] for line in lines if line.startswith("FROM")} == {"base", "cpu", "kernels", "cuda"}
    assert f"ARG RAY_VERSION={RAY_VERSION}" in lines
    text = "\n".join(lines)
    assert not re.search(r"pip install (?!.*(==|\.whl))", text.replace("\\\n", " "))
