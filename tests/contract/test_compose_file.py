"""docker-compose.yml and Dockerfile name commands, options and folders that exist.

Both are read as text: of YAML only the block style in which docker-compose.yml is written.
"""

import tomllib

import pytest

from toto._core.stores.redis_url import parse_redis_url
from toto_gateway.settings import GatewaySettings
from toto_testkit.processes import REPOSITORY, command_path, run_to_end
from toto_worker.settings import WorkerSettings

APP = REPOSITORY / "examples" / "quickstart"
SERVICES = ["gateway", "worker"]


def lines_of(name: str) -> list[str]:
    """Return the lines of a file at the top that are neither empty nor comments."""
    lines = (REPOSITORY / name).read_text().splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def block(lines: list[str], key: str) -> list[str]:
    """Return what is indented below the first line that is this key, outdented."""
    start = next(i for i, line in enumerate(lines) if line == f"{key}:") + 1
    end = next((i for i in range(start, len(lines)) if lines[i][0] != " "), len(lines))
    return [line.removeprefix("  ") for line in lines[start:end]]


def service(name: str) -> list[str]:
    """Return the lines of a service."""
    return block(block(lines_of("docker-compose.yml"), "services"), name)


def items(service_name: str, key: str) -> list[str]:
    """Return a list of a service, such as the words of its command."""
    return [line.removeprefix("- ").strip('"') for line in block(service(service_name), key)]


def text(service_name: str, key: str) -> str:
    """Return a value that stands on one line."""
    values = [line for line in service(service_name) if line.startswith(f"{key}: ")]
    assert len(values) == 1, values
    return values[0].removeprefix(f"{key}: ")


def option(service_name: str, name: str) -> str:
    """Return the value a command is given for an option."""
    values = [word for word in items(service_name, "command") if word.startswith(f"{name}=")]
    assert len(values) == 1, values
    return values[0].removeprefix(f"{name}=")


def store(service_name: str) -> dict[str, str]:
    """Return where a service keeps accounts and sessions."""
    return dict(item.split("=", 1) for item in items(service_name, "environment"))


def copied() -> list[str]:
    """Return what the Dockerfile copies from the repository."""
    words = [line.split() for line in lines_of("Dockerfile")]
    return [
        source
        for instruction, *arguments in words
        if instruction == "COPY" and not arguments[0].startswith("--from=")
        for source in arguments[:-1]
    ]


@pytest.mark.system
@pytest.mark.parametrize("name", SERVICES)
def test_the_command_of_a_service_is_accepted(name: str) -> None:
    """Every option of both commands is known, and they are right together."""
    command, *arguments = items(name, "command")
    here = [word.replace("--app-dir=/app", f"--app-dir={APP}") for word in arguments]

    ended = run_to_end([command_path(command), *here, "--check-config"], environment=store(name))

    assert (ended.returncode, ended.stderr) == (0, "")


def test_workers_dial_where_the_gateway_listens() -> None:
    """The host is the service's name, the port the one of worker_address."""
    assert option("gateway", "--worker-address") == "tcp://0.0.0.0:5555"
    assert option("worker", "--connect") == "tcp://gateway:5555"


def test_gateway_and_workers_share_accounts_and_sessions() -> None:
    """Both look into the Redis of this file, by its service's name, and start after it."""
    target = parse_redis_url(store("worker")["TOTO_REDIS_URL"])

    assert store("gateway") == store("worker")
    assert store("worker")["TOTO_DATABASE"] == "redis"
    assert [str(address) for address in target.addresses] == ["redis:6379"]
    assert "redis" in items("gateway", "depends_on")
    assert "redis" in items("worker", "depends_on")


def test_redis_keeps_accounts_and_is_reached_by_the_others_only() -> None:
    """It writes to a volume and forgets nothing; its port is not published."""
    command = items("redis", "command")
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert text("redis", "image") == "redis:7"
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert items("redis", "volumes") == [f"redis-data:{options['--dir']}"]
    assert "redis-data:" in block(lines_of("docker-compose.yml"), "volumes")
    assert items("redis", "networks") == ["private"]
    assert "ports:" not in service("redis")
    assert "healthcheck:" in service("redis")


def test_workers_find_the_sample_methods() -> None:
    """The app folder of the image holds the package that workers are told to serve."""
    assert "WORKDIR /app" in lines_of("Dockerfile")
    assert "COPY examples/quickstart/methods methods" in lines_of("Dockerfile")
    assert option("worker", "--app-dir") == "/app"
    assert option("worker", "--methods") == "methods"


def test_the_gateway_publishes_and_probes_the_port_it_serves() -> None:
    """Only the port for clients leaves the private network."""
    assert GatewaySettings().port == 8888
    assert items("gateway", "ports") == ["8888:8888"]
    assert any("http://127.0.0.1:8888/livez" in line for line in service("gateway"))


def test_workers_can_be_scaled() -> None:
    """Nothing of a worker can exist only once on a host."""
    keys = {line.partition(":")[0] for line in service("worker")}

    assert not keys & {"container_name", "ports", "hostname"}


@pytest.mark.parametrize(
    ("name", "needed_seconds"),
    [
        # Beside running calls: a second to cancel what is left, then the supervisor's margin.
        ("gateway", GatewaySettings().graceful_timeout + 1 + 5),
        ("worker", WorkerSettings().graceful_timeout + 1 + 2),
    ],
)
def test_containers_are_not_killed_while_they_drain(name: str, needed_seconds: float) -> None:
    """Docker waits longer than the command needs at most to stop by itself."""
    grace = text(name, "stop_grace_period")

    assert grace.endswith("s")
    assert int(grace.removesuffix("s")) > needed_seconds


def test_the_dockerfile_copies_what_exists() -> None:
    """Every source is in the repository, and .dockerignore lets it through."""
    assert copied()
    for source in copied():
        assert (REPOSITORY / source).exists(), source
        assert f"!{source.partition('/')[0]}" in lines_of(".dockerignore")


def test_the_image_is_given_all_that_the_package_is_built_from() -> None:
    """The build reads the packages, the readme and the license that pyproject.toml names."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    project = settings["project"]
    needed = {package.partition("/")[0] for package in packages}

    assert {*needed, project["readme"], *project["license-files"]} <= set(copied())
    assert "bson" in project["optional-dependencies"]


def test_the_image_does_not_run_as_root() -> None:
    """The user is set last, and by number, which Kubernetes can check."""
    users = [line for line in lines_of("Dockerfile") if line.startswith("USER ")]

    assert users == ["USER 10001:10001"]
