"""The compose example and the systemd unit of the clinic: read by their specifications, their commands by our parser."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flare_trt.engine.apps.cli.commands import build_parser
from flare_trt.engine.apps.pacs.peers import Archive, Door, Sender

CLINIC = Path(__file__).parents[2] / "docker" / "clinic"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((CLINIC / "compose.yaml").read_text())["services"])


def test_the_compose_file_is_one_by_the_specification(services: dict[str, Any]) -> None:
    compose = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    merged = yaml.safe_dump(yaml.safe_load((CLINIC / "compose.yaml").read_text()))  # compose-spec reads no anchors
    assert compose.PyCompose.from_yaml(merged).service_names() == sorted(services)
    with pytest.raises(ValueError, match="healthchek"):
        compose.PyCompose.from_yaml(merged.replace("healthcheck", "healthchek"))


def test_the_image_is_a_stage_of_the_container_file(services: dict[str, Any]) -> None:
    build = services["worker"]["build"]
    place = (CLINIC / build["context"]).resolve()
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (place / build["dockerfile"]).read_text(), re.MULTILINE)
    assert build["target"] in stages
    assert services["service"]["image"] == services["worker"]["image"]


def test_the_worker_s_command_is_one_that_starts(services: dict[str, Any]) -> None:
    words = [str(word) for word in services["worker"]["command"]]
    arguments = build_parser("pacs").parse_args(words)
    door = Door(arguments.aet, arguments.host, arguments.port, tuple(map(Sender.parsed, arguments.allow)))
    assert door.lets_in("ORTHANC", "10.77.0.5")
    assert not door.lets_in("ORTHANC", "10.78.0.5")
    assert Archive.parsed(arguments.send_to) == Archive("ORTHANC", "orthanc", 4242)
    assert build_parser("pacs").parse_args(services["worker"]["healthcheck"]["test"][2:]).kind == "health"


def test_the_service_s_command_is_one_that_starts(services: dict[str, Any]) -> None:
    arguments = build_parser("serve").parse_args(services["service"]["command"])
    assert (arguments.host, str(arguments.token_file)) == ("0.0.0.0", "/run/secrets/token")  # noqa: S104  # in a container


def test_only_this_machine_reaches_the_clinic(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    for name in ("worker", "service"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["mem_limit"]


def test_the_unit() -> None:
    unit = CLINIC / "flare-trt-pacs.service"
    (start,) = (line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    command, *words = shlex.split(start.removeprefix("ExecStart="))
    arguments = build_parser("pacs").parse_args(words)
    assert (command, str(arguments.queue), arguments.pick) == (
        "/opt/flare-trt/bin/flare-trt",
        "/var/lib/flare-trt",
        ("original-axial", "thinnest"),
    )
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert [line for line in said if "is not executable" not in line] == []
