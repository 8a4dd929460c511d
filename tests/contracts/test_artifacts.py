"""The shipped artifacts are what the sources compile to."""

import json
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"
ARTIFACTS = Path(__file__).parents[2] / "vpp_sim" / "chain" / "artifacts"
NAMES = ("DirectTrades", "EnergyMarket", "MemberRegistry", "SettlementCurrency")
LARGE = ("DirectTrades", "EnergyMarket")  # these take the compiler half a minute
UNREACHABLE = re.compile(r"E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|AI_AGAIN|NOTCACHED|HOSTUNREACH|NETUNREACH)")


def shipped(name):
    return json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))


def install_packages(npm):
    """Install the locked packages, unless they are there; skip only if their registry cannot be reached."""
    if (CONTRACTS / "node_modules" / "solc").is_dir():
        return
    done = subprocess.run(
        [npm, "ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=CONTRACTS,
        capture_output=True,
        text=True,
    )
    if done.returncode and (reason := UNREACHABLE.search(done.stderr)):
        pytest.skip(f"npm registry cannot be reached: {reason[0]}")
    assert done.returncode == 0, done.stderr


def rebuild(folder, *names):
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are needed to recompile, and are not installed")
    install_packages(npm)
    done = subprocess.run(
        [node, "build.mjs", str(folder), *names], cwd=CONTRACTS, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return rebuild(tmp_path_factory.mktemp("small"), *(name for name in NAMES if name not in LARGE))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return rebuild(tmp_path_factory.mktemp("large"), *LARGE)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NAMES]
)
def test_recompiling_gives_the_same_bytes(request, name):
    rebuilt = request.getfixturevalue("large" if name in LARGE else "small")
    again = json.loads((rebuilt / f"{name}.json").read_text(encoding="utf-8"))
    assert again["bytecode"] == shipped(name)["bytecode"]
    assert again["sources_sha256"] == shipped(name)["sources_sha256"]
    assert (rebuilt / f"{name}.json").read_bytes() == (ARTIFACTS / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_source_hashes_match_the_sources(name):
    own = {path: digest for path, digest in shipped(name)["sources_sha256"].items() if path.startswith("src/")}
    sources = {path.relative_to(CONTRACTS).as_posix(): path for path in (CONTRACTS / "src").rglob("*.sol")}
    assert own == {path: sha256(file.read_bytes()).hexdigest() for path, file in sources.items()}


@pytest.mark.parametrize("name", NAMES)
def test_artifacts_name_their_compiler_and_settings(name):
    artifact = shipped(name)
    locked = json.loads((CONTRACTS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert artifact["compiler"].startswith(f"solc {locked['node_modules/solc']['version']}+")
    assert artifact["openzeppelin"] == locked["node_modules/@openzeppelin/contracts"]["version"]
    assert (artifact["settings"]["evmVersion"], artifact["settings"]["optimizer"]["enabled"]) == ("prague", True)
    assert 2_000 < len(bytes.fromhex(artifact["bytecode"].removeprefix("0x"))) < 49_152  # EIP-3860; see test_market_gas


def test_the_lock_pins_content_and_names_no_registry():
    packages = json.loads((CONTRACTS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for path, package in packages.items():
        assert "resolved" not in package
        assert not path or package["integrity"].startswith("sha512-")
